import type { SessionRecordReader } from '../client/session-record-reader.ts'
import { adoptable, whyNotAdoptable } from '../continuity/adoptable.ts'
import type { ClientOutcome } from '../continuity/report.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import { TlsSession } from '../io/tls-session.ts'
import { CLIENT, CLIENT_F64, CLIENT_SECTION, CLIENT_SECTIONS, CLIENT_STATE } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import {
  SERVER,
  SERVER_F64,
  SERVER_FLAG,
  SERVER_SECTION,
  SERVER_SECTIONS,
  SERVER_STATE,
} from '../memory/server-slots.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { StepLog } from '../memory/step-log.ts'
import type { Adopted, AdoptedClient, AdoptedLogin, AdoptionReport } from './adopted.ts'
import { clientFacts, isTlsClient, serverFacts } from './adoption-facts.ts'
import { AtRest } from './at-rest.ts'
import { placeOf } from './client-place.ts'
import { undoFirstStep } from './first-step.ts'
import { KeptConnection } from './kept-connection.ts'
import { refuseClient } from './refused-client.ts'
import type { RestingClient } from './resting-clients.ts'

const CLIENT_FIELDS = { ...CLIENT, ...CLIENT_F64, sections: CLIENT_SECTIONS }
const SERVER_FIELDS = { ...SERVER, ...SERVER_F64, sections: SERVER_SECTIONS }
const CLIENT_HANDLES = [SECTION.extraHandle, CLIENT_SECTION.statementsHandle, CLIENT_SECTION.unnamedHandle]
const SERVER_HANDLES = [SECTION.extraHandle, SERVER_SECTION.statementsHandle]

/** The plane that takes over. */
export interface AdoptionHost {
  readonly planeIndex: number
  readonly clients: Region
  readonly servers: Region
  readonly clientTlsRecords: Region
  readonly serverTlsRecords: Region
  readonly arena: BufferArena
  readonly recorded: SessionRecordReader
  /** Messages of our own on their way to a socket. */
  readonly outbound: NativeBuffer
  /** The slot is taken from now on, by the connection that had it. */
  keepServerSlot(server: SlotReference): void
  readonly poller: Poller
}

/** Where the predecessor's last step is written down. */
export interface AdoptedSteps {
  readonly log: StepLog
  readonly reads: readonly NativeBuffer[]
  /** The `slotMark` of whose event it was serving when it died. */
  readonly inProgress: number
  /** A buffer beside those of connections that stays as it is; 0: there is none. */
  readonly keptHandle: number
}

/** The keeper, who is told what is over. */
export interface KeeperNews {
  /** The keeper may give the slot to somebody else. */
  gone(client: SlotReference): void
  drop(server: SlotReference): void
}

const NONE: Adopted = { clients: [], logins: [], resting: [], servers: [] }

interface Kept {
  readonly slot: SlotReference
  readonly fd: OwnedFd
}

interface KeptClient extends Kept {
  /** Under which the poller has it already; −1: it does not. */
  readonly key: number
}

/**
 * What becomes of the connections that this plane's predecessor had. They come one by one; when all are there, `complete`
 * decides. Owns their descriptors until then.
 */
export class Adoption {
  readonly #host: AdoptionHost
  readonly #keeper: KeeperNews
  readonly #steps: AdoptedSteps
  #adopted: Adopted = NONE
  #clients: KeptClient[] = []
  #servers: Kept[] = []

  constructor(host: AdoptionHost, keeper: KeeperNews, steps: AdoptedSteps) {
    this.#host = host
    this.#keeper = keeper
    this.#steps = steps
  }

  /** Those to go on with, once: their sessions can begin when there are values to serve them by. */
  takeAdopted(): Adopted {
    const adopted = this.#adopted
    this.#adopted = NONE
    return adopted
  }

  /** `key`: under which the poller has it already; −1: it does not. */
  addClient(slot: SlotReference, fd: OwnedFd, key: number): void {
    this.#clients.push({ slot, fd, key })
  }

  addServer(slot: SlotReference, fd: OwnedFd): void {
    this.#servers.push({ slot, fd })
  }

  /**
   * All are there. No session of this plane may exist yet, and no step may have begun: server slots and buffers that nobody
   * goes on with are freed.
   */
  complete(): AdoptionReport {
    const { arena, clients, servers, clientTlsRecords, serverTlsRecords } = this.#host
    const memory = { ...this.#steps, arena }
    const serverReasons: Record<string, number> = {}
    const allServers = this.#servers.map(
      (server) =>
        new KeptConnection(
          memory,
          servers,
          SERVER_FIELDS,
          server,
          this.#server(server, SERVER.writtenBase),
          this.#isTls(server) ? this.#tls(serverTlsRecords, server) : null,
        ),
    )
    const keptServers = allServers.filter((server) => this.#isServerKept(server, serverReasons))
    const byClient = new Map(
      allServers.filter(({ section }) => section >= 0).map((server) => [server.slot.slot, server]),
    )
    const kept = new Set(keptServers)
    const outcomes: ClientOutcome[] = []
    const keptClients: KeptConnection[] = []
    const atRest = new AtRest(clients, this.#steps.log, this.#steps.inProgress)
    const resting: RestingClient[] = []
    for (const each of this.#clients) {
      const one = this.#restingClient(each, atRest)
      if (one !== null) {
        resting.push(one)
        outcomes.push({ kept: true, ...each.slot })
        continue
      }
      // Its session will watch it, or nobody.
      if (each.key >= 0) this.#host.poller.remove(each.key, each.fd)
      undoFirstStep(clients, each.slot, this.#steps.log.committed)
      const tls = this.#isTlsClient(each) ? this.#tls(clientTlsRecords, each) : null
      const client = new KeptConnection(memory, clients, CLIENT_FIELDS, each, 0, tls)
      const server = client.section < 0 ? undefined : byClient.get(client.word(SECTION.peer) - 1)
      const verdict = adoptable(clientFacts(clients, client, server, server !== undefined && kept.has(server)))
      if (verdict.adopted) keptClients.push(client)
      else outcomes.push(this.#refuse(client, verdict.reason, verdict.canBeTold))
    }
    const order = new Map(this.#clients.map(({ slot }, at) => [slot.slot, at]))
    const count = this.#servers.length
    this.#clients = []
    this.#servers = []
    outcomes.push(...this.#takeOver(keptClients, keptServers, resting))
    const placeOf = (outcome: ClientOutcome): number =>
      order.get(outcome.kept ? outcome.slot : outcome.client.slot) ?? 0
    outcomes.sort((one, other) => placeOf(one) - placeOf(other))
    return { servers: count, keptServers: this.#adopted.servers.length, serverReasons, outcomes }
  }

  /** Null: it has to be looked at closely. */
  #restingClient(kept: KeptClient, atRest: AtRest): RestingClient | null {
    const { slot, generation } = kept.slot
    const section = atRest.section(slot)
    if (section < 0) return null
    if (this.#isTlsClient(kept)) {
      const tls = this.#tls(this.#host.clientTlsRecords, kept)
      if (!tls.restore(this.#steps.log.committed) || tls.heldHandle !== 0) return null
    }
    const identity = this.#host.recorded.foresee(slot, section)
    if (identity === null) return null
    atRest.settle(slot, section)
    return { slot, generation, fd: kept.fd, key: kept.key, section, user: identity.user, database: identity.database }
  }

  #isServerKept(server: KeptConnection, reasons: Record<string, number>): boolean {
    const reason = whyNotAdoptable(serverFacts(server, this.#isTls(server)))
    if (reason === null) return true
    reasons[reason] = (reasons[reason] ?? 0) + 1
    this.#drop(server)
    return false
  }

  #isTls(server: { readonly slot: SlotReference }): boolean {
    return (this.#server(server, SERVER.flags) & SERVER_FLAG.tls) !== 0
  }

  #isTlsClient({ slot }: { readonly slot: SlotReference }): boolean {
    return isTlsClient(this.#host.clients, slot.slot)
  }

  #tls(region: Region, { slot }: { readonly slot: SlotReference }): TlsSession {
    return new TlsSession(region, slot.slot, this.#host.arena)
  }

  /** A live field of its slot. */
  #server({ slot }: { readonly slot: SlotReference }, field: number): number {
    const { servers } = this.#host
    return servers.i32[slot.slot * (servers.recordBytes >> 2) + field] ?? 0
  }

  #drop({ slot, fd }: Kept): void {
    fd.close()
    this.#tls(this.#host.serverTlsRecords, { slot }).erase()
    this.#keeper.drop(slot)
  }

  /** Nothing of the predecessor's memory is needed afterwards but what their sections refer to. */
  #takeOver(
    clients: readonly KeptConnection[],
    servers: readonly KeptConnection[],
    resting: readonly RestingClient[],
  ): ClientOutcome[] {
    const { arena } = this.#host
    const { log } = this.#steps
    const { i32 } = this.#host.clients
    arena.rebuild([
      ...(this.#steps.keptHandle === 0 ? [] : [this.#steps.keptHandle]),
      ...resting
        .map(({ section }) => i32[section + CLIENT_SECTION.unnamedHandle] as number)
        .filter((handle) => handle !== 0),
      ...clients.flatMap((client) => client.handles(CLIENT_HANDLES)),
      ...servers.flatMap((server) => server.handles(SERVER_HANDLES)),
      ...[...clients, ...servers].map(({ tls }) => tls?.heldHandle ?? 0).filter((handle) => handle !== 0),
    ])
    const settled = new Set([...servers, ...clients].filter((kept) => kept.settle()))
    log.commit(0)
    log.begin()
    arena.settle()
    const open = servers.filter((server) => settled.has(server))
    for (const server of servers) if (!settled.has(server)) this.#drop(server)
    this.#freeServerSlots(new Set(open.map(({ slot }) => slot.slot)))
    for (const { slot } of open) this.#host.keepServerSlot(slot)
    const goOn: AdoptedClient[] = []
    const logins: AdoptedLogin[] = []
    const outcomes = clients.map((client): ClientOutcome => {
      if (!settled.has(client)) return this.#refuse(client, 'no buffer was left for what was on its way', false)
      const isLogin = client.word(SECTION.state) === CLIENT_STATE.login
      const isRead = isLogin ? this.#adoptLogin(client, logins) : this.#adopt(client, goOn)
      if (!isRead) return this.#refuse(client, 'its session cannot be read', false)
      return { kept: true, ...client.slot }
    })
    this.#adopted = {
      clients: goOn,
      logins,
      resting,
      servers: open.map(({ slot, fd, section }) => ({ slot: slot.slot, fd, section })),
    }
    return outcomes
  }

  #adopt(kept: KeptConnection, all: AdoptedClient[]): boolean {
    const { clients, recorded } = this.#host
    const record = recorded.read(kept.slot.slot, kept.section)
    if (record !== null) all.push({ client: placeOf(clients, kept.slot), fd: kept.fd, record })
    return record !== null
  }

  #adoptLogin(kept: KeptConnection, all: AdoptedLogin[]): boolean {
    const { clients, recorded } = this.#host
    all.push({ client: placeOf(clients, kept.slot), fd: kept.fd, login: recorded.readLogin(kept.section) })
    return true
  }

  #refuse(client: KeptConnection, reason: string, canBeTold: boolean): ClientOutcome {
    const outcome = refuseClient(this.#host, client, reason, canBeTold)
    this.#keeper.gone(client.slot)
    return outcome
  }

  /** Also those that the keeper had no descriptor of. */
  #freeServerSlots(kept: ReadonlySet<number>): void {
    const { servers, planeIndex } = this.#host
    for (let slot = 0; slot < servers.count; slot++) {
      const i = slot * (servers.recordBytes >> 2)
      if (servers.i32[i + SERVER.state] === SERVER_STATE.free || servers.i32[i + SERVER.plane] !== planeIndex) continue
      if (!kept.has(slot)) servers.clear(slot)
    }
  }
}
