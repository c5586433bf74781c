/** A range of upstream versions in which a snapshot may take the blade or the VM down. */
export interface KnownBadKernel {
  /** First bad version. */
  readonly from: string
  /** First good version after it. */
  readonly before: string
  readonly why: string
}

/** Only what upstream describes as a crash or a hang of snapshots themselves; each with its commit. */
export const KNOWN_BAD_KERNELS: readonly KnownBadKernel[] = [
  {
    from: '0.0.0',
    before: '3.18.12',
    why: 'a second snapshot of a volume under writes can stop the kernel (BUG in dm-snap-persistent, fixed by "dm snapshot: suspend origin when doing exception handover")',
  },
  {
    from: '5.0.0',
    before: '5.4.0',
    why: 'writes to a volume with a snapshot can hang for ever (fixed by "dm snapshot: rework COW throttling to fix deadlock", b21555786f18)',
  },
]

/**
 * The upstream version of the running kernel, from the text of /proc/version. Debian names its kernels 6.1.0-17 whatever
 * the stable release is, and says the real one at the end.
 */
export function upstreamVersion(procVersion: string): string {
  const debian = /\bDebian (\d+\.\d+\.\d+)/.exec(procVersion)?.[1]
  return debian ?? /^Linux version (\d+\.\d+(\.\d+)?)/.exec(procVersion)?.[1] ?? ''
}

/** The entry a version falls into; undefined for a good one, and for one that cannot be read (unreadable is not bad). */
export function knownBad(
  version: string,
  table: readonly KnownBadKernel[] = KNOWN_BAD_KERNELS,
): KnownBadKernel | undefined {
  if (!/^\d+\.\d+/.test(version)) return undefined
  return table.find(entry => compare(version, entry.from) >= 0 && compare(version, entry.before) < 0)
}

function compare(one: string, other: string): number {
  const [a, b] = [one.split('.').map(Number), other.split('.').map(Number)]
  for (let index = 0; index < 3; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
