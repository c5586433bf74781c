import { IntakeClient } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { createRequest, describeCertificate } from '../../shared/rpc/certificates.ts'
import { channelOptions, createChannelCredentials, unary } from '../../shared/rpc/endpoint.ts'
import { type Loop, startLoop } from '../loop.ts'
import { type BladeIdentity, writeIdentity } from './identity-file.ts'

const REQUEST_LIMIT_MS = 15_000

/** Is only a third of its life left? Then there are weeks of tries before it ends. */
export function needsRenewal(notBefore: number, notAfter: number, now: number): boolean {
  return now >= notAfter - (notAfter - notBefore) / 3
}

/** Asks the controller for a new certificate in time. `onRenewed` must make every user of the old one change over. */
export function startRenewal(options: {
  readonly current: () => BladeIdentity
  readonly stateDir: string
  readonly clock: Clock
  readonly log: Logger
  readonly onRenewed: (identity: BladeIdentity) => void
}): Loop {
  const { clock, log } = options
  return startLoop({
    clock,
    intervalMs: HOUR_MS,
    gatherMs: 0,
    body: async () => {
      try {
        const current = options.current()
        const { notBefore, notAfter } = describeCertificate(current.identity.certificatePem)
        if (!needsRenewal(notBefore, notAfter, clock.now())) return
        const renewed = await renew(current)
        writeIdentity(options.stateDir, renewed)
        options.onRenewed(renewed)
        const { notAfter: until } = describeCertificate(renewed.identity.certificatePem)
        log.info('certificate renewed', { until: new Date(until).toISOString() })
      } catch (error) {
        log.warn('the certificate could not be renewed, next try in an hour', {
          error: formatErrorChain(error),
        })
      }
    },
  })
}

async function renew(current: BladeIdentity): Promise<BladeIdentity> {
  const { privateKeyPem, requestPem } = await createRequest(current.blade)
  const client = new IntakeClient(
    current.controller,
    createChannelCredentials(current.identity),
    channelOptions('controller'),
  )
  try {
    const request = { certificateRequestPem: requestPem }
    const answer = await unary(client, 'renewCertificate', request, { timeoutMs: REQUEST_LIMIT_MS })
    return {
      ...current,
      identity: {
        certificatePem: answer.certificatePem,
        privateKeyPem,
        authorityPem: answer.authorityPem || current.identity.authorityPem,
      },
    }
  } finally {
    client.close()
  }
}
