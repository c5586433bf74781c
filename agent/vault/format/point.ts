import { LifeboatError } from '../../../shared/errors.ts'

/** A restore point is named by the moment of its backup, UTC: `20261128T020512Z`. Sorts by time; is a folder's name. */
export const POINT = /^\d{8}T\d{6}Z$/
/** libvirt's UUID, as a folder bears it. */
export const VM_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** One restore point of one VM. */
export interface PointRef {
  readonly vmId: string
  readonly point: string
}

/** A reference comes from a stranger and becomes a path: is it one? */
export function isPointRef({ vmId, point }: PointRef): boolean {
  return VM_ID.test(vmId) && POINT.test(point)
}

/** The name of a restore point of that moment. */
export function formatPoint(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

/** The moment a name says, to the second. Epoch ms; a name that says none (a 99th second) is that of another moment. */
export function momentOfPoint(point: string): number {
  const part = (start: number, end: number) => Number(point.slice(start, end))
  return Date.UTC(part(0, 4), part(4, 6) - 1, part(6, 8), part(9, 11), part(11, 13), part(13, 15))
}

/** Throws `bad-input`. */
export function parsePoint(text: string): string {
  if (POINT.test(text) && formatPoint(momentOfPoint(text)) === text) return text
  throw new LifeboatError('bad-input', `'${text}' is not a restore point: they look like 20261128T020512Z`)
}
