import type { OperationServices } from '../../controller/operations/services.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** For operations that have nothing to do with a vault. */
export const noVaults: Pick<OperationServices, 'vaults' | 'lookAtVaults'> = {
  vaults: {
    ask: async vault => await Promise.reject(new LifeboatError('not-found', `there is no ${vault}`)),
  },
  lookAtVaults: () => {},
}
