import { openTestMemory, TestAnalyzer } from '../../src/analyzer/analyzer.fixture.ts'
import { FEATURE_COUNT } from '../../src/analyzer/feature-schema.ts'
import { fillFeatures } from '../../src/analyzer/feature-vector.ts'
import { type ModelFile, TierModel } from '../../src/analyzer/tier-model.ts'
import { seededRandom } from '../../src/util/seeded-random.ts'

const CONNECTIONS = 1_000
const UPDATES = 20_000
const ROUNDS = 60
const EVALUATIONS = 50_000
const IDLE = 0x49

export interface Latency {
  /** One query: command tag, sums, and whether the model has to be asked; without asking it. */
  readonly update_ns: number
  /** Features, trees and softmax of one connection. */
  readonly evaluate_p50_us: number
  readonly evaluate_p99_us: number
  /** Whether a stranger's behaviour is new to the model; asked until it has spoken of the connection. */
  readonly novelty_p50_us: number
  readonly novelty_p99_us: number
}

/** Of a thousand connections that take turns, as they do in a plane, so that nothing is in a cache for long. */
export function measureLatency(file: ModelFile): Latency {
  const test = new TestAnalyzer({ mode: 'off' }, [], openTestMemory(CONNECTIONS))
  const random = seededRandom(7)
  const slots = Math.min(CONNECTIONS, test.memory.clients.count)
  for (let slot = 0; slot < slots; slot++) test.connect(slot, { application: `app-${slot % 40}x` })
  const order = Int32Array.from({ length: UPDATES }, () => Math.floor(random() * slots))
  const tag = Buffer.from('SELECT 12\0')
  const update = (count: number): void => {
    for (let at = 0; at < count; at++) {
      const slot = order[at % order.length] as number
      test.now += 0.05
      test.analyzer.profiles.command(slot, tag, 0, tag.length, true)
      test.analyzer.answered(slot, IDLE, 1.5, test.now)
    }
  }
  for (let round = 0; round < ROUNDS; round++) update(UPDATES)
  const rounds = Array.from({ length: ROUNDS }, () => {
    const began = performance.now()
    update(UPDATES)
    return (1e6 * (performance.now() - began)) / UPDATES
  })
  return { update_ns: Math.round(Math.min(...rounds)), ...measureEvaluation(file, test, order) }
}

function measureEvaluation(file: ModelFile, test: TestAnalyzer, order: Int32Array): Omit<Latency, 'update_ns'> {
  const model = TierModel.open(file)
  const vector = new Float32Array(FEATURE_COUNT)
  const probabilities = new Float64Array(4)
  const random = seededRandom(9)
  const fill = (at: number): void => {
    fillFeatures(vector, test.memory, order[at % order.length] as number, test.now)
    // Connections of a benchmark are too much alike: each takes another way through the trees.
    for (let feature = 14; feature < 44; feature++)
      vector[feature] = (vector[feature] as number) * noise[(at + feature) % noise.length]!
  }
  const noise = Float32Array.from({ length: 4_099 }, () => 0.2 + 2 * random())
  const [evaluateP50, evaluateP99] = quantilesOf((at) => {
    fill(at)
    model.predict(vector, probabilities)
  })
  const [noveltyP50, noveltyP99] = quantilesOf(() => model.isNovel(vector), fill)
  return {
    evaluate_p50_us: evaluateP50,
    evaluate_p99_us: evaluateP99,
    novelty_p50_us: noveltyP50,
    novelty_p99_us: noveltyP99,
  }
}

/** Microseconds that `work` takes at the median and in one of a hundred cases; `before` each time, not measured. */
function quantilesOf(work: (at: number) => void, before: (at: number) => void = () => {}): [number, number] {
  const times = new Float64Array(EVALUATIONS)
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at < EVALUATIONS; at++) {
      before(at)
      const began = process.hrtime.bigint()
      work(at)
      times[at] = Number(process.hrtime.bigint() - began) / 1000
    }
  }
  times.sort()
  const quantile = (part: number): number => Number((times[Math.floor(part * times.length)] as number).toFixed(2))
  return [quantile(0.5), quantile(0.99)]
}
