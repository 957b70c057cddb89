import { Counter, Gauge, type Registry } from 'prom-client'
import type { PlaneView } from '../../memory/plane-records.ts'
import { SOURCES } from '../../memory/profile-records.ts'
import { TIERS } from '../../shard/tier.ts'
import { profilesOf } from '../analyzer-report.ts'
import type { RouterControl } from '../router-control.ts'
import type { ScrapeSnapshot } from './scrape-snapshot.ts'

const COUNTERS: readonly (readonly [name: string, total: keyof PlaneView['totals'], help: string])[] = [
  ['evaluations', 'tierEvaluations', 'How often the tier model was asked.'],
  ['abstentions', 'tierAbstentions', 'How often it had nothing to say, for want of evidence.'],
  ['tier_changes', 'tierChanges', 'Changes of a connection’s tier.'],
  ['tier_flaps', 'tierFlaps', 'Those of them that took back another one of the last 30 s.'],
  ['runaways', 'runaways', 'Requests beyond the runaway limits.'],
  ['history_dropped', 'historyDropped', 'Snapshots that were not kept, because control did not read them in time.'],
]
const STATES = ['unknown', 'stable', 'warning', 'alarm'] as const

/** What the analyzer counts, what its model makes of the clients, and how far those have moved from its training. */
export function registerAnalyzerMetrics(
  registry: Registry,
  control: RouterControl,
  current: () => ScrapeSnapshot,
): void {
  const registers = [registry]
  for (const [name, total, help] of COUNTERS) {
    new Counter({
      name: `switchyard_analyzer_${name}_total`,
      help,
      labelNames: ['plane'],
      registers,
      collect() {
        this.reset()
        for (const { plane, totals } of current().planes) this.inc({ plane }, totals[total])
      },
    })
  }
  new Gauge({
    name: 'switchyard_clients_by_tier',
    help: 'Clients by tier, and by who decided it.',
    labelNames: ['tier', 'source'],
    registers,
    collect() {
      this.reset()
      for (const tier of TIERS) for (const source of SOURCES) this.set({ tier, source }, 0)
      for (const { tier, source } of profilesOf(control)) this.inc({ tier, source })
    },
  })
  registerDriftMetrics(registry, control)
}

function registerDriftMetrics(registry: Registry, control: RouterControl): void {
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name: `switchyard_analyzer_${name}`,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  }
  const drift = () => control.analyzer().drift
  gauge('model_loaded', '1 when there is a tier model.', () => (control.analyzer().model === null ? 0 : 1))
  gauge('drift_state', '0 unknown, 1 stable, 2 warning, 3 alarm.', () => STATES.indexOf(drift().state))
  gauge(
    'unseen_ratio',
    'Part of the snapshots of identities that the model was not trained with.',
    () => drift().unseen,
  )
  gauge(
    'novel_ratio',
    'Of the snapshots of such identities with evidence, the part that behave like nobody in training.',
    () => drift().novel,
  )
  gauge('confidence', 'How sure the model is, on average, of those that it may speak of.', () => drift().confidence)
  gauge(
    'rule_disagreement',
    'Part of the ruled snapshots for which the model says something else.',
    () => drift().disagreement,
  )
  new Gauge({
    name: 'switchyard_analyzer_feature_psi',
    help: 'Population stability index of each feature against training.',
    labelNames: ['feature'],
    registers,
    collect() {
      this.reset()
      for (const [feature, psi] of drift().features) this.set({ feature }, psi)
    },
  })
}
