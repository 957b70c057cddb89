import { Counter, type Registry } from 'prom-client'
import type { RouterControl } from '../router-control.ts'

/** How many events of each kind this control process has published. */
export function registerEventMetrics(registry: Registry, control: RouterControl): void {
  new Counter({
    name: 'switchyard_events_total',
    help: 'What the control process found out and decided, by kind: see SHOW EVENTS.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [kind, count] of control.events().counts) this.inc({ kind }, count)
    },
  })
}
