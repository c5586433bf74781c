/** The seam to /proc and /sys. The root is a parameter of the real one, so that tests mount captured trees. */
export interface HostFiles {
  /** Whole text of a small file. Throws `not-found`, or `unavailable` when it cannot be read. */
  read(path: string): Promise<string>
  /** Names in a directory, sorted; empty when it does not exist. */
  list(path: string): Promise<readonly string[]>
}
