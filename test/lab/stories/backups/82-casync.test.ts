import { after, test } from 'node:test'
import { casyncInterop } from '../../../contract/casync.ts'
import { openLab } from '../../lab.ts'

const lab = openLab()
const HOST = 'depot'
const FOLDER = '/root/casync-interop'
const LIMIT_MS = 180_000

after(() => lab.mustExec(HOST, ['rm', '-rf', FOLDER]))

test('on Debian as it is installed, the package and casync read what the other keeps', async () => {
  await lab.mustExec(HOST, ['mkdir', '-p', FOLDER])
  await casyncInterop({
    shell: async command =>
      (await lab.mustExec(HOST, ['sh', '-ec', command], { timeoutMs: LIMIT_MS })).trimEnd(),
    program: 'lifeboat-vault',
    folder: FOLDER,
  })
})
