import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { defaultVaultConfig } from '../../../../agent/vault/config.ts'
import {
  dropInText,
  giveCommand,
  isDropInCurrent,
  ownPaths,
  writeDropIn,
} from '../../../../agent/vault/unit-files.ts'

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

test('a link that takes the place of a folder meanwhile leads nothing outside to the user of the service', () => {
  const [vault, outside, told] = ['vault', 'outside', 'told'].map(name => join(root, name)) as [
    string,
    string,
    string,
  ]
  mkdirSync(join(vault, 'vm'), { recursive: true })
  mkdirSync(outside)
  writeFileSync(join(vault, 'vm', 'shadow'), 'of the vault')
  writeFileSync(join(outside, 'shadow'), 'of the host')
  // Stands for chown, and is as late as it can be: the folder is swapped when find has looked already.
  const late = join(root, 'late')
  const swap = `case "$*" in *shadow*) mv ${vault}/vm ${vault}/old; ln -s ${outside} ${vault}/vm;; esac`
  writeFileSync(late, `#!/bin/sh\n${swap}\nshift 2\ncat "$@" >> ${told} 2>/dev/null\ntrue\n`)
  chmodSync(late, 0o755)
  const words = giveCommand(vault, 9).map(word => ({ chown: late, lifeboat: '12345' })[word] ?? word)
  execFileSync(words[0] ?? '', words.slice(1))
  assert.equal(readFileSync(told, 'utf8'), 'of the vault')
})
