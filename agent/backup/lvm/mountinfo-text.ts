/** One line of /proc/self/mountinfo, see proc_pid_mountinfo(5). */
export interface Mount {
  /** `major:minor`. */
  readonly device: string
  /** What of the file system is mounted here: `/`, or a folder of it by a bind mount. */
  readonly root: string
  readonly directory: string
  readonly type: string
}

/** Lines that cannot be read are left out: a mount of a kind nobody foresaw is none that holds disks. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap(line => {
    const words = line.split(' ')
    const dash = words.indexOf('-', 6)
    const [device, root, directory, type] = [words[2], words[3], words[4], words[dash + 1]]
    if (dash < 0 || device === undefined || root === undefined) return []
    if (directory === undefined || type === undefined) return []
    return [{ device, root: plain(root), directory: plain(directory), type }]
  })
}

/** Blanks and the like are written as three octal digits. */
const plain = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

/** The mount a path lies on: the deepest, and of several on one directory the last, which covers the others. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined
  for (const mount of mounts) {
    const holds =
      mount.directory === '/' || path === mount.directory || path.startsWith(`${mount.directory}/`)
    if (holds && (best === undefined || mount.directory.length >= best.directory.length)) best = mount
  }
  return best
}

/** Path of a file inside its file system, as another mount of the whole of it would show it. */
export function pathInside(mount: Mount, path: string): string {
  const below = mount.directory === '/' ? path : path.slice(mount.directory.length)
  return mount.root === '/' ? below : `${mount.root}${below}`
}
