import { Gauge, type Registry } from 'prom-client'
import { utilisationOf, workingShards } from '../../control/scaling/scale-unit.ts'
import type { RouterControl } from '../router-control.ts'

const STATES = ['creating', 'serving', 'leaving'] as const

/** How many shards there are, were added and may be, and how much they have to do. */
export function registerScalingMetrics(registry: Registry, control: RouterControl): void {
  new Gauge({
    name: 'switchyard_added_shards',
    help: 'Shards that SCALE OUT or automatic scaling has made, by state.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { added } = control.scaling()
      for (const state of STATES) this.set({ state }, added.filter((shard) => shard.state === state).length)
    },
  })
  unitGauge('shards', 'Shards of a group, or of a pool with names of shards.', ({ unit }) => unit.shards.length)
  unitGauge('max_shards', 'How many it may have.', ({ unit }) => unit.maxShards)
  unitGauge('utilisation', 'Part of the slots of its replicas that is in use.', ({ unit }) =>
    utilisationOf(workingShards(unit)),
  )
  unitGauge('needs', '1: it needs a shard more; -1: one less is enough; 0: neither.', ({ verdict }) =>
    verdict.action === 'none' ? 0 : verdict.action === 'add' ? 1 : -1,
  )

  function unitGauge(name: string, help: string, value: (report: Report) => number): void {
    new Gauge({
      name: `switchyard_scaling_${name}`,
      help,
      labelNames: ['group', 'pool'],
      registers: [registry],
      collect() {
        this.reset()
        for (const report of control.scaling().reports) {
          this.set({ group: report.unit.group, pool: report.unit.pool ?? '' }, value(report))
        }
      },
    })
  }
}

type Report = ReturnType<RouterControl['scaling']>['reports'][number]
