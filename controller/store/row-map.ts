/** Turns the records of one table into rows and back. */
export interface RowMap<Entry, Table> {
  /** Only the fields that are given: what an insert or an update sets. */
  toRow(change: Partial<Entry>): Partial<Table>
  fromRow(row: Table): Entry
}

/**
 * By the column of each field; those in `json` lie as text, with '' for undefined. The casts stand here once: what
 * keeps them true is that `columns` must name every field and only columns of that table.
 */
export function createRowMap<Entry extends object, Table extends object>(
  columns: Readonly<Record<keyof Entry, keyof Table>>,
  json: readonly (keyof Entry)[],
): RowMap<Entry, Table> {
  const fields = Object.entries(columns) as [keyof Entry, keyof Table][]
  const isJson = new Set(json)
  return {
    toRow: change => {
      const row: Partial<Record<keyof Table, unknown>> = {}
      for (const [field, column] of fields) {
        if (!(field in change)) continue
        const value = change[field]
        row[column] = isJson.has(field) ? (value === undefined ? '' : JSON.stringify(value)) : value
      }
      return row as Partial<Table>
    },
    fromRow: row => {
      const entry: Partial<Record<keyof Entry, unknown>> = {}
      for (const [field, column] of fields) {
        const value = row[column]
        entry[field] = isJson.has(field) ? (value === '' ? undefined : JSON.parse(String(value))) : value
      }
      return entry as Entry
    },
  }
}
