import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { defaultVaultConfig } from '../../../../agent/vault/config.ts'
import { dropInText, isDropInCurrent, ownPaths, writeDropIn } from '../../../../agent/vault/unit-files.ts'

const root = mkdtempSync(join(tmpdir(), 'lbu-'))
after(() => rmSync(root, { recursive: true, force: true }))

test("the unit's own directories need no drop-in; another one is writable, and a mount to wait for", () => {
  assert.equal(dropInText(defaultVaultConfig()), '')
  const text = dropInText({ ...defaultVaultConfig(), dir: '/srv/my vault' })
  assert.match(text, /^\[Unit\]\nRequiresMountsFor="\/srv\/my vault"$/m)
  assert.match(text, /^\[Service\]\nReadWritePaths="\/srv\/my vault"$/m)
})

test('the drop-in follows the configuration, and goes when it is not needed any more', () => {
  const folder = join(root, 'lifeboat-vault.service.d')
  const config = { ...defaultVaultConfig(), dir: '/srv/vault' }
  assert.equal(isDropInCurrent(config, folder), false)
  assert.equal(writeDropIn(config, folder), true)
  assert.equal(readFileSync(join(folder, 'directories.conf'), 'utf8'), dropInText(config))
  assert.equal(writeDropIn(config, folder), false, 'nothing to do the second time')
  assert.equal(isDropInCurrent(config, folder), true)
  const moved = { ...config, dir: '/mnt/vault' }
  assert.equal(isDropInCurrent(moved, folder), false)
  assert.equal(writeDropIn(defaultVaultConfig(), folder), true)
  assert.equal(existsSync(join(folder, 'directories.conf')), false)
})

test('the service owns what it writes; of the chunks only their folders, for there may be millions', () => {
  const depths = new Map(ownPaths({ dir: '/v', stateDir: '/s' }).map(({ path, depth }) => [path, depth]))
  assert.equal(depths.get('/v/store'), 1)
  assert.ok((depths.get('/v/points') ?? 0) > 3 && (depths.get('/v/state') ?? 0) > 1)
  assert.ok(depths.has('/v') && depths.has('/v/tmp') && depths.has('/v/quarantine') && depths.has('/s'))
})
