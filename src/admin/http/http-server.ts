import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ReportContext, ShowCommand } from '../console/command.ts'
import { showClients } from '../console/command-set/show-clients.ts'
import { showDatabases } from '../console/command-set/show-databases.ts'
import { showEvents } from '../console/command-set/show-events.ts'
import { showPlanes } from '../console/command-set/show-planes.ts'
import { showPools } from '../console/command-set/show-pools.ts'
import { showPreservation } from '../console/command-set/show-preservation.ts'
import { showPreservedClients } from '../console/command-set/show-preserved-clients.ts'
import { showServers } from '../console/command-set/show-servers.ts'
import { showShards } from '../console/command-set/show-shards.ts'
import { showSlots } from '../console/command-set/show-slots.ts'
import { showStats } from '../console/command-set/show-stats.ts'
import { showTiers } from '../console/command-set/show-tiers.ts'
import { writableAgain } from '../writable-again.ts'
import { type HealthVerdict, liveness, readiness } from './health.ts'
import { jsonReport } from './json-report.ts'
import { Metrics } from './metrics.ts'
import { STATUS_PAGE_POLICY, statusPage } from './status-page.ts'

const LIMITS = { maxHeaderSize: 8 * 1024, headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 }
const MAX_CONNECTIONS = 256
/** A reader that takes nothing for this long is closed. */
const STALLED_MS = 60_000

const REPORTS: Readonly<Record<string, ShowCommand>> = {
  '/api/clients': showClients,
  '/api/servers': showServers,
  '/api/pools': showPools,
  '/api/shards': showShards,
  '/api/databases': showDatabases,
  '/api/slots': showSlots,
  '/api/tiers': showTiers,
  '/api/events': showEvents,
  '/api/planes': showPlanes,
  '/api/stats': showStats,
  '/api/preservation': showPreservation,
  '/api/preserved-clients': showPreservedClients,
}

type Respond = (response: ServerResponse) => void | Promise<void>

/**
 * Health, metrics and reports over HTTP, for machines; read-only. The same tables as the console's, so the same names.
 */
export class HttpServer {
  readonly #context: ReportContext
  readonly #metrics: Metrics
  readonly #failed: (error: unknown) => void
  readonly #server: Server

  /** @param failed called with exceptions that are bugs; the request has been answered with 500. */
  constructor(context: ReportContext, failed: (error: unknown) => void) {
    this.#context = context
    this.#metrics = new Metrics(context.control)
    this.#failed = failed
    this.#server = createServer(LIMITS, (request, response) => void this.#answer(request, response))
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.setTimeout(STALLED_MS)
  }

  /** @param port 0 lets the system choose. Returns what was bound; rejects with a sentence when it cannot be. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      const refuse = (cause: Error): void =>
        reject(new Error(`The HTTP server cannot listen on ${host} port ${port}: ${cause.message}.`, { cause }))
      this.#server.once('error', refuse)
      this.#server.listen(port, host, () => {
        this.#server.off('error', refuse)
        this.#server.on('error', this.#failed)
        resolve()
      })
    })
    return this.#server.address() as AddressInfo
  }

  /** Stops at once: whoever reads a page can ask again. Settles when every socket is closed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('X-Content-Type-Options', 'nosniff')
    // Bodies are of no interest, but an unread one would be taken for the next request.
    request.resume()
    try {
      const respond = this.#route((request.url ?? '/').split('?', 1)[0] ?? '/')
      if (respond === null) return sendJson(response, 404, { error: 'There is no such page.', pages: this.#pages() })
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('Allow', 'GET, HEAD')
        return sendJson(response, 405, { error: 'Pages can only be read: use GET or HEAD.' })
      }
      await respond(response)
    } catch (error) {
      this.#failed(error)
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, { error: 'The page could not be made; the log of the control process says why.' })
    }
  }

  #pages(): readonly string[] {
    return ['/', '/healthz', '/readyz', '/metrics', ...Object.keys(REPORTS)]
  }

  #route(path: string): Respond | null {
    const { control } = this.#context
    switch (path) {
      case '/':
        return (response) => {
          response.setHeader('Content-Security-Policy', STATUS_PAGE_POLICY)
          send(response, 200, 'text/html; charset=utf-8', statusPage(this.#context))
        }
      case '/healthz':
        return (response) => sendHealth(response, liveness(control))
      case '/readyz':
        return (response) => sendHealth(response, readiness(control))
      case '/metrics':
        return async (response) => send(response, 200, this.#metrics.contentType, await this.#metrics.scrape())
    }
    const report = Object.hasOwn(REPORTS, path) ? REPORTS[path] : undefined
    return report === undefined ? null : (response) => this.#stream(response, report)
  }

  async #stream(response: ServerResponse, report: ShowCommand): Promise<void> {
    response.setHeader('Content-Type', 'application/json; charset=utf-8')
    if (response.req.method === 'HEAD') {
      response.end()
      return
    }
    for (const text of jsonReport(report, this.#context)) {
      if (!response.write(text) && !(await writableAgain(response))) return
    }
    response.end()
  }
}

function sendHealth(response: ServerResponse, { ok, reasons, troubles }: HealthVerdict): void {
  sendJson(response, ok ? 200 : 503, { status: ok ? 'ok' : 'unavailable', reasons, troubles })
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
}

/** Node leaves the body out of the answer to HEAD, and keeps its length. */
function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.statusCode = status
  response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}
