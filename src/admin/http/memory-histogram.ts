import { Histogram, type Registry } from 'prom-client'
import { HISTOGRAM_BUCKETS, histogramBoundSeconds } from '../../memory/pool-records.ts'
import type { PoolLabels } from './scrape-snapshot.ts'

type LabelName = keyof PoolLabels

/** One labelled distribution as shared memory keeps it. */
export interface HistogramSeries {
  readonly labels: PoolLabels
  /** Counts by bucket, not cumulative. */
  readonly buckets: readonly number[]
  readonly sumSeconds: number
}

const BOUNDS = Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => histogramBoundSeconds(bucket))

/**
 * A Prometheus histogram whose counts are kept by somebody else: prom-client's own can only observe single values.
 * Cumulative as the text format wants it: https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries
 */
export class MemoryHistogram extends Histogram<LabelName> {
  readonly #name: string
  readonly #help: string
  readonly #read: () => readonly HistogramSeries[]

  constructor(registry: Registry, name: string, help: string, read: () => readonly HistogramSeries[]) {
    super({
      name,
      help,
      labelNames: ['database', 'user', 'shard'],
      buckets: BOUNDS.slice(0, -1),
      registers: [registry],
    })
    this.#name = name
    this.#help = help
    this.#read = read
  }

  /** What the registry and `get` ask; prom-client's types leave it out. */
  async getForPromString() {
    const values = this.#read().flatMap((series) => this.#valuesOf(series))
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }

  #valuesOf({ labels, buckets, sumSeconds }: HistogramSeries) {
    let cumulative = 0
    const values = BOUNDS.map((bound, bucket) => {
      cumulative += buckets[bucket] ?? 0
      const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : bound
      return { metricName: `${this.#name}_bucket`, labels: { ...labels, le }, value: cumulative }
    })
    return [
      ...values,
      { metricName: `${this.#name}_sum`, labels, value: sumSeconds },
      { metricName: `${this.#name}_count`, labels, value: cumulative },
    ]
  }
}
