import { makeVaultDir, spoilChunk } from '../fakes/vault-dir.ts'
import { vaultContract } from './vault.ts'

vaultContract('a directory of this host', async () => {
  const place = makeVaultDir()
  const vault = place.open({ maxSessions: 2 })
  return {
    vault,
    blade: '',
    spoil: id => spoilChunk(place.dir, id),
    close: async () => {
      await vault.close()
      place.remove()
    },
  }
})

vaultContract('a directory, as one blade sees it', async () => {
  const place = makeVaultDir()
  const store = place.open({ maxSessions: 2 })
  return {
    vault: store.visibleTo('blade03', () => false),
    blade: 'blade03',
    spoil: id => spoilChunk(place.dir, id),
    close: async () => {
      await store.close()
      place.remove()
    },
  }
})
