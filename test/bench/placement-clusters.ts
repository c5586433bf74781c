/** Random clusters as they look after years of use. All sizes in MiB, as in the text format of Ganeti's htools. */

export interface BenchBlade {
  readonly name: string
  readonly memoryMib: number
  /** Taken by the host itself. */
  readonly hostMemoryMib: number
  readonly diskMib: number
  readonly isDrained: boolean
}

export interface BenchVm {
  readonly name: string
  readonly blade: string
  readonly memoryMib: number
  readonly diskMib: number
}

export interface Cluster {
  readonly blades: readonly BenchBlade[]
  readonly vms: readonly BenchVm[]
}

export interface ClusterShape {
  readonly blades: number
  /** How many of them are drained, the first ones. Default 1. */
  readonly drained?: number
  /** Memory of all VMs by the memory of the blades that are not drained. */
  readonly utilisation: number
  /** The same of disks, which decides how large they are; undefined: disks are roomy. */
  readonly diskUtilisation?: number
}

const GIB_IN_MIB = 1024
const BLADE_MEMORY_MIB = 64 * GIB_IN_MIB
const HOST_MEMORY_MIB = GIB_IN_MIB
const ROOMY_DISK_MIB = 4096 * GIB_IN_MIB
/** Small VMs are the most; 8.7 GiB in the mean, so that seven of them fill a blade. */
const MEMORY_GIB = [2, 2, 4, 4, 4, 8, 8, 8, 12, 12, 16, 24] as const
const DISK_GIB = [10, 20, 20, 40, 40, 80, 120, 200] as const

/** The same shape and seed always give the same cluster. */
export function makeCluster(shape: ClusterShape, seed: number): Cluster {
  const random = randomOf(seed)
  // A list of VMs that finds no places is thrown away: few do, and then only in the tightest shapes.
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const found = tryCluster(shape, random)
    if (found !== undefined) return found
  }
  throw new Error(`no cluster of ${shape.blades} blades at ${shape.utilisation} could be filled`)
}

function tryCluster(shape: ClusterShape, random: () => number): Cluster | undefined {
  const { blades: count, drained = 1, utilisation, diskUtilisation } = shape
  const survivors = count - drained
  const usable = BLADE_MEMORY_MIB - HOST_MEMORY_MIB
  const sizes = drawSizes(survivors * usable * utilisation, random)
  const diskSum = sizes.reduce((sum, size) => sum + size.diskMib, 0)
  const diskMib =
    diskUtilisation === undefined ? ROOMY_DISK_MIB : Math.ceil(diskSum / survivors / diskUtilisation)
  const blades = Array.from({ length: count }, (_, index) => ({
    name: `blade${String(index + 1).padStart(5, '0')}`,
    memoryMib: BLADE_MEMORY_MIB,
    hostMemoryMib: HOST_MEMORY_MIB,
    diskMib,
    isDrained: index < drained,
  }))
  const free = blades.map(blade => ({ name: blade.name, memoryMib: usable, diskMib }))
  const vms: BenchVm[] = []
  for (const size of sizes) {
    const blade = pickFit(free, size, random)
    if (blade === undefined) return undefined
    blade.memoryMib -= size.memoryMib
    blade.diskMib -= size.diskMib
    vms.push({ name: `vm${String(vms.length + 1).padStart(6, '0')}`, blade: blade.name, ...size })
  }
  return { blades, vms }
}

interface Size {
  readonly memoryMib: number
  readonly diskMib: number
}

/** VMs up to that much memory in all, as near as their sizes let it come. */
function drawSizes(targetMib: number, random: () => number): Size[] {
  const sizes: Size[] = []
  let left = Math.floor(targetMib / GIB_IN_MIB)
  for (;;) {
    const fitting = MEMORY_GIB.filter(gib => gib <= left)
    if (fitting.length === 0) return sizes
    const memoryGib = pick(fitting, random)
    sizes.push({ memoryMib: memoryGib * GIB_IN_MIB, diskMib: pick(DISK_GIB, random) * GIB_IN_MIB })
    left -= memoryGib
  }
}

/** Any blade it fits on: first those that chance hits, then whichever is left. */
function pickFit<Free extends Size>(
  free: readonly Free[],
  size: Size,
  random: () => number,
): Free | undefined {
  const fits = (blade: Free) => blade.memoryMib >= size.memoryMib && blade.diskMib >= size.diskMib
  for (let attempt = 0; attempt < 20; attempt++) {
    const blade = pick(free, random)
    if (fits(blade)) return blade
  }
  const fitting = free.filter(fits)
  return fitting.length === 0 ? undefined : pick(fitting, random)
}

function pick<Value>(values: readonly Value[], random: () => number): Value {
  return values[Math.floor(random() * values.length)] as Value
}

/** Mulberry32: 0 up to but not 1. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
