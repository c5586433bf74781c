/** Bytes from the start of a file that tell what it is; the largest field we read ends at 80. */
export const IMAGE_HEADER_BYTES = 104

export type ImageHeader =
  | { readonly format: 'raw' }
  | {
      readonly format: 'qcow2'
      readonly sizeBytes: number
      readonly backingFile: boolean
      readonly dataFile: boolean
    }
  | { readonly format: 'foreign'; readonly name: string }
  | { readonly format: 'broken'; readonly error: string }

/** Formats an administrator may have beside our two; taking one for raw would copy a container as if it were a disk. */
const FOREIGN_MAGIC: readonly (readonly [string, string])[] = [
  ['KDMV', 'VMDK'],
  ['COWD', 'VMDK'],
  ['# Disk Descriptor', 'VMDK'],
  ['vhdxfile', 'VHDX'],
  ['conectix', 'VHD'],
  ['QED\0', 'QED'],
  ['<<< ', 'VDI'],
  ['LUKS\xba\xbe', 'LUKS'],
]

const QCOW_MAGIC = 'QFI\xfb'
/** Incompatible feature bit 2 of qcow2 version 3: guest data lies in another file. */
const EXTERNAL_DATA_FILE = 1n << 2n

/**
 * What an image file is, from its first bytes (pure). The header of qcow2 is a published format (QEMU's
 * docs/interop/qcow2); reading it costs no process, where `qemu-img info` would cost one per disk and refresh.
 * A qcow2 header is always whole on disk, so reading it under a running QEMU is safe.
 */
export function parseImageHeader(head: Buffer): ImageHeader {
  const text = head.toString('latin1')
  const foreign = FOREIGN_MAGIC.find(([magic]) => text.startsWith(magic))
  if (foreign !== undefined) return { format: 'foreign', name: foreign[1] }
  if (!text.startsWith(QCOW_MAGIC)) return { format: 'raw' }
  if (head.length < 72) return { format: 'broken', error: `its qcow2 header ends after ${head.length} bytes` }
  const version = head.readUInt32BE(4)
  if (version === 1) return { format: 'foreign', name: 'qcow' }
  if (version !== 2 && version !== 3)
    return { format: 'broken', error: `its qcow2 header says version ${version}` }
  const hasFeatures = version === 3 && head.length >= 80
  const features = hasFeatures ? head.readBigUInt64BE(72) : 0n
  return {
    format: 'qcow2',
    sizeBytes: Number(head.readBigUInt64BE(24)),
    backingFile: head.readBigUInt64BE(8) !== 0n,
    dataFile: (features & EXTERNAL_DATA_FILE) !== 0n,
  }
}
