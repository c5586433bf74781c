import { createVaultClient } from '../../agent/vault/client/vault-client.ts'
import { makeVaultDir, spoilChunk } from '../fakes/vault-dir.ts'
import { openDoor } from '../fakes/vault-door.ts'
import { vaultContract } from './vault.ts'

vaultContract('a vault over the network, as a blade reaches it', async () => {
  const place = makeVaultDir()
  const store = place.open({ maxSessions: 2 })
  const door = await openDoor(store)
  const vault = createVaultClient(await door.clientOptions('blade03'))
  return {
    vault,
    blade: 'blade03',
    spoil: id => spoilChunk(place.dir, id),
    close: async () => {
      await vault.close()
      await door.close()
      await store.close()
      place.remove()
    },
  }
})
