import { collectDefaultMetrics, Registry } from 'prom-client'
import type { RouterControl } from '../router-control.ts'
import { registerAnalyzerMetrics } from './analyzer-metrics.ts'
import { registerEventMetrics } from './event-metrics.ts'
import { registerPoolMetrics } from './pool-metrics.ts'
import { registerProcessMetrics } from './process-metrics.ts'
import { registerScalingMetrics } from './scaling-metrics.ts'
import { type ScrapeSnapshot, takeScrapeSnapshot } from './scrape-snapshot.ts'
import { registerShardMetrics } from './shard-metrics.ts'
import { registerTierMetrics } from './tier-metrics.ts'

/** Node's event loop delay is measured by waking up so often; prom-client's 10 ms were the most of what an idle control costs. */
const EVENT_LOOP_PRECISION_MS = 100

/**
 * The Prometheus page. Nothing is counted here: each scrape reads shared memory once, so that all figures of a page are
 * of the same moment and planes know nothing of it. Figures of the control process itself begin with `switchyard_control_`.
 */
export class Metrics {
  readonly #control: RouterControl
  readonly #registry = new Registry()
  #snapshot: ScrapeSnapshot

  constructor(control: RouterControl) {
    this.#control = control
    this.#snapshot = takeScrapeSnapshot(control)
    const current = (): ScrapeSnapshot => this.#snapshot
    registerPoolMetrics(this.#registry, current)
    registerProcessMetrics(this.#registry, control, current)
    registerTierMetrics(this.#registry, control)
    registerShardMetrics(this.#registry, control)
    registerEventMetrics(this.#registry, control)
    registerScalingMetrics(this.#registry, control)
    registerAnalyzerMetrics(this.#registry, control, current)
    collectDefaultMetrics({
      register: this.#registry,
      prefix: 'switchyard_control_',
      eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS,
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async scrape(): Promise<string> {
    this.#snapshot = takeScrapeSnapshot(this.#control)
    return this.#registry.metrics()
  }
}
