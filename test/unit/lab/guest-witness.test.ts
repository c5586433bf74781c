import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  bytesToRead,
  checkRing,
  RING_FIRST_SECTOR,
  RING_SECTORS,
  readRecord,
  SECTOR_BYTES,
  writeRecord,
} from '../../lab/guest/record.ts'
import { checkSerial } from '../../lab/guest/serial.ts'

/** A volume as the guest leaves it after `last` steps; `ahead` steps more are in the ring but not in sector 1. */
function volumeAfter(last: number, ahead = 0): Buffer {
  const bytes = Buffer.alloc((RING_FIRST_SECTOR + RING_SECTORS) * SECTOR_BYTES)
  const put = (sector: number, counter: number) =>
    writeRecord({ counter, boots: 1, name: 'web01' }).copy(bytes, sector * SECTOR_BYTES)
  for (let step = 1; step <= last + ahead; step++) put(RING_FIRST_SECTOR + (step % RING_SECTORS), step)
  put(1, last)
  return bytes
}

function serial(from: number, to: number): string {
  let text = ''
  for (let step = from; step <= to; step++) text += `${step.toString(16).padStart(8, '0')}\n`
  return text
}

describe('the record a guest leaves of a step', () => {
  it('is read back as it was written', () => {
    const record = { counter: 77, boots: 3, name: 'db01' }
    assert.deepEqual(readRecord(writeRecord(record)), record)
  })

  it('is refused when any byte of it changed, and when the sector is empty', () => {
    for (let byte = 0; byte < 24; byte++) {
      const sector = writeRecord({ counter: 77, boots: 3, name: 'db01' })
      sector.writeUInt8(sector.readUInt8(byte) ^ 1, byte)
      assert.equal(readRecord(sector), undefined, `byte ${byte}`)
    }
    assert.equal(readRecord(Buffer.alloc(SECTOR_BYTES)), undefined)
  })

  it('has the checksum that the guest itself computes', () => {
    // Sector 1 of a volume as the guest wrote it to its second disk in the lab.
    const written = Buffer.alloc(SECTOR_BYTES)
    Buffer.from('4c424731eb0300000100000064623031000000000f7947e3', 'hex').copy(written)
    assert.deepEqual(readRecord(written), { counter: 1003, boots: 1, name: 'db01' })
  })
})

describe('the check of a volume', () => {
  it('finds every step of a young guest, in no more bytes than it asked for', () => {
    const report = checkRing(volumeAfter(300).subarray(0, bytesToRead(300)))
    assert.deepEqual(report, {
      name: 'web01',
      boots: 1,
      last: 300,
      top: 300,
      checked: 300,
      badCount: 0,
      bad: [],
    })
  })

  it('counts the step that was in the ring but not yet in sector 1 when the guest was stopped', () => {
    const report = checkRing(volumeAfter(300, 1).subarray(0, bytesToRead(300)))
    assert.equal(report.top, 301)
    assert.equal(report.badCount, 0)
  })

  it('names a step that was lost, one that was damaged and one that another guest wrote', () => {
    const bytes = volumeAfter(300)
    const sector = (step: number) => (RING_FIRST_SECTOR + step) * SECTOR_BYTES
    writeRecord({ counter: 99, boots: 1, name: 'web01' }).copy(bytes, sector(100))
    bytes.writeUInt8(0xff, sector(200) + 5)
    writeRecord({ counter: 250, boots: 1, name: 'mail01' }).copy(bytes, sector(250))
    const { bad, badCount } = checkRing(bytes)
    assert.deepEqual(bad, [
      { step: 100, found: 'step 99 of web01' },
      { step: 200, found: 'no valid record' },
      { step: 250, found: 'step 250 of mail01' },
    ])
    assert.equal(badCount, 3)
  })

  it('looks at what a full ring still holds, and allows the guest to overwrite the oldest meanwhile', () => {
    const last = RING_SECTORS * 2
    const bytes = volumeAfter(last)
    writeRecord({ counter: last + 3, boots: 1, name: 'web01' }).copy(
      bytes,
      (RING_FIRST_SECTOR + 3) * SECTOR_BYTES,
    )
    const report = checkRing(bytes)
    assert.equal(report.badCount, 0)
    assert.ok(report.checked > RING_SECTORS - 300)
  })

  it('says so when there is nothing to check', () => {
    const report = checkRing(Buffer.alloc(bytesToRead(0)))
    assert.equal(report.badCount, 1)
    assert.equal(report.bad[0]?.found, 'no valid record in sector 1')
  })
})

describe('the check of the serial lines', () => {
  it('joins what a guest printed on the two blades of a live migration', () => {
    const report = checkSerial([`BOOT\n${serial(1, 40)}`, serial(41, 90)])
    assert.equal(report.boots, 1)
    assert.equal(report.first, 1)
    assert.equal(report.last, 90)
    assert.deepEqual([report.doubled, report.missing, report.unwitnessed], [[], [], []])
  })

  it('accepts a line that the migration cut in two', () => {
    const [head, tail] = ['0000', '0029\n']
    const report = checkSerial([`${tail}${serial(42, 90)}`, `BOOT\n${serial(1, 40)}${head}`])
    assert.deepEqual([report.doubled, report.missing], [[], []])
  })

  it('accepts the cut line of a guest that later came back to the same blade', () => {
    const report = checkSerial([`BOOT\n${serial(1, 40)}00000${serial(60, 70)}`, `029\n${serial(42, 59)}`])
    assert.deepEqual([report.doubled, report.missing], [[], []])
  })

  it('sees two copies that ran at once', () => {
    const report = checkSerial([`BOOT\n${serial(1, 50)}`, serial(41, 60)])
    assert.deepEqual(report.doubled, [{ from: 41, to: 50 }])
  })

  it('sees a step that was never printed', () => {
    const report = checkSerial([`BOOT\n${serial(1, 40)}`, serial(42, 60)])
    assert.deepEqual(report.missing, [{ from: 41, to: 41 }])
  })

  it('keeps apart what a blade lost of the log when its power was cut', () => {
    const report = checkSerial([`BOOT\n${serial(1, 40)}\0\0\0\0\0\0\0\0\0BOOT\n${serial(55, 60)}`])
    assert.deepEqual(report.missing, [])
    assert.deepEqual(report.unwitnessed, [{ from: 41, to: 54 }])
    assert.equal(report.boots, 2)
  })

  it('counts the faults the guest saw itself', () => {
    const report = checkSerial([`BOOT\n${serial(1, 3)}!${serial(4, 5)}EE${serial(6, 6)}`])
    assert.deepEqual([report.mismatches, report.ioErrors], [1, 2])
    assert.deepEqual(report.missing, [])
  })
})
