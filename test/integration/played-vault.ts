import { status as grpcStatus, type Server } from '@grpc/grpc-js'
import {
  type BootRecord,
  type GrantRequest,
  PointSummary,
  type RetentionPolicies,
  VaultControlService,
  VaultStatus,
} from '../../proto/gen/lifeboat/v1/vault.ts'
import { systemClock } from '../../shared/clock.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import { GIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { silentLogger } from '../../shared/log.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'
import {
  createServer,
  createServerCredentials,
  rpcService,
  serve,
  stopServer,
} from '../../shared/rpc/endpoint.ts'
import { ask, type ControllerFixture, joinWithToken } from './controller-fixture.ts'

/** Plays a vault towards the controller: real gRPC with mTLS, points in memory. */
export class PlayedVault {
  readonly name: string
  points: PointSummary[] = []
  status: Partial<VaultStatus> = {}
  readonly grants: GrantRequest[] = []
  readonly booted: BootRecord[] = []
  readonly retention: RetentionPolicies[] = []
  /** Manifests by point. */
  readonly manifests = new Map<string, string>()
  readonly identity: Identity
  #server: Server | undefined

  constructor(name: string, identity: Identity) {
    this.name = name
    this.identity = identity
  }

  /** Resolves with its address. */
  async listen(port = 0): Promise<string> {
    const server = createServer([this.#service()], {
      log: silentLogger,
      authorise: ({ peer }) => onlyController(peer.role),
    })
    const credentials = createServerCredentials(this.identity)
    const [bound] = await serve(server, [{ address: `127.0.0.1:${port}`, credentials }])
    this.#server = server
    return `127.0.0.1:${bound}`
  }

  async stop(): Promise<void> {
    if (this.#server !== undefined) await stopServer(this.#server, 100, systemClock)
    this.#server = undefined
  }

  /** A whole restore point of that VM, with its manifest. */
  add(vm: Vm, point: string, change: Partial<PointSummary> = {}): PointSummary {
    const summary = PointSummary.fromPartial({
      vmId: vm.id,
      vm: vm.name,
      point,
      blade: 'blade01',
      at: Date.now(),
      consistency: 'paused',
      pauseMs: 180,
      sizeBytes: GIB,
      durationMs: 60_000,
      state: 'whole',
      ...change,
    })
    this.points = [...this.points.filter(each => each.point !== point || each.vmId !== vm.id), summary]
    this.manifests.set(point, manifestOf(vm))
    return summary
  }

  #find(ref: { vmId: string; point: string } | undefined): PointSummary {
    const found = this.points.find(each => each.vmId === ref?.vmId && each.point === ref?.point)
    if (found === undefined) throw new LifeboatError('not-found', 'no such restore point')
    return found
  }

  #status(): VaultStatus {
    return VaultStatus.fromPartial({
      name: this.name,
      version: '0.1.0',
      nowAt: Date.now(),
      sizeBytes: 100 * GIB,
      freeBytes: 80 * GIB,
      points: this.points.length,
      maxSessions: 4,
      accepts: true,
      agentsPort: 7499,
      ...this.status,
    })
  }

  #service() {
    return rpcService(VaultControlService, {
      getVaultStatus: () => this.#status(),
      listPoints: ({ vmId }) => ({ points: this.points.filter(each => vmId === '' || each.vmId === vmId) }),
      getPoint: ref => ({
        summary: this.#find(ref),
        manifestJson: this.manifests.get(ref.point) ?? '',
      }),
      setRetention: policies => {
        this.retention.push(policies)
        return this.#status()
      },
      prune: ({ vmId }) => ({
        verdicts: this.points
          .filter(each => vmId === '' || each.vmId === vmId)
          .map(({ vmId: id, vm, point, at }) => ({
            vmId: id,
            vm,
            point,
            at,
            keep: true,
            reasons: ['last 1 of 3'],
          })),
      }),
      collect: () => ({ chunks: 3, bytes: 100, keptChunks: 5, refused: '' }),
      scrub: ({ stop }) => {
        this.status = { ...this.status, scrubStartedAt: stop ? 0 : 1000 }
        return this.#status()
      },
      checkPoint: ref => {
        const checked = { ...this.#find(ref), checkedAt: Date.now() }
        this.points = this.points.map(each => (each.point === checked.point ? checked : each))
        return checked
      },
      recordBoot: record => {
        this.booted.push(record)
        const known = this.#find(record.point)
        const told = { ...known, bootedAt: record.at, recoveryMs: record.recoveryMs, bootError: record.error }
        this.points = this.points.map(each => (each === known ? told : each))
        return told
      },
      grant: request => {
        this.#find(request.point)
        this.grants.push(request)
        return this.#status()
      },
    })
  }
}

function onlyController(role: string): void {
  if (role !== 'controller')
    throw new LifeboatError('not-allowed', `role ${role}, status ${grpcStatus.PERMISSION_DENIED}`)
}

/** `lifeboat vault add`, `lifeboat-vault join` and its start in one; the controller has seen it when this resolves. */
export async function addVault(fixture: ControllerFixture, name: string): Promise<PlayedVault> {
  const request = { name, address: '127.0.0.1:1', tokenTtlMinutes: 0, replace: false }
  const { token } = await ask(fixture, 'addVault', request)
  const vault = new PlayedVault(name, await joinWithToken(fixture, token))
  // It needs its certificate to listen, and only then has a port.
  await ask(fixture, 'addVault', { ...request, address: await vault.listen(), replace: true })
  return vault
}

function manifestOf(vm: Vm): string {
  return JSON.stringify({
    format: 'lifeboat-restore-point',
    version: 1,
    vm: { id: vm.id, name: vm.name },
    definition: `<domain type='kvm'><name>${vm.name}</name><os><type machine='${vm.machine}'>hvm</type></os><devices>
      <interface type='bridge'><source bridge='br0'/></interface></devices></domain>`,
    memoryBytes: vm.memoryBytes,
    vcpus: vm.vcpus,
    disks: vm.volumes.map(({ target, sizeBytes, format, storage, pool, path }) => ({
      target,
      sizeBytes,
      format,
      storage,
      pool,
      path,
      chunkBytes: 524_288,
      indexSha256: '0'.repeat(64),
    })),
  })
}
