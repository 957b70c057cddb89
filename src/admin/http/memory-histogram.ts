import { Histogram, type Registry } from 'prom-client'
import { HISTOGRAM_BUCKETS, histogramBoundSeconds } from '../../memory/pool-records.ts'

/** One labelled distribution as shared memory keeps it. */
export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>
  /** Counts by bucket, not cumulative. */
  readonly buckets: readonly number[]
  readonly sumSeconds: number
}

/** What the series of a histogram have in common. */
export interface HistogramShape {
  readonly labelNames: readonly string[]
  /** Upper bounds in seconds, the last one infinite. */
  readonly bounds: readonly number[]
}

/** Histograms of pools. */
export const POOL_SHAPE: HistogramShape = {
  labelNames: ['database', 'user', 'shard'],
  bounds: Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => histogramBoundSeconds(bucket)),
}

/**
 * A Prometheus histogram whose counts are kept by somebody else: prom-client's own can only observe single values.
 * Cumulative as the text format wants it: https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries
 */
export class MemoryHistogram extends Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]
  readonly #read: () => readonly HistogramSeries[]

  constructor(
    registry: Registry,
    { labelNames, bounds }: HistogramShape,
    name: string,
    help: string,
    read: () => readonly HistogramSeries[],
  ) {
    super({
      name,
      help,
      labelNames: [...labelNames],
      buckets: bounds.slice(0, -1),
      registers: [registry],
    })
    this.#name = name
    this.#help = help
    this.#bounds = bounds
    this.#read = read
  }

  /** What the registry and `get` ask; prom-client's types leave it out. */
  async getForPromString() {
    const values = this.#read().flatMap((series) => this.#valuesOf(series))
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }

  #valuesOf({ labels, buckets, sumSeconds }: HistogramSeries) {
    let cumulative = 0
    const values = this.#bounds.map((bound, bucket) => {
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
