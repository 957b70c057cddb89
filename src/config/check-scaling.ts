import type { ConfigProblems } from './problems.ts'
import type { Config } from './schema.ts'

/** What must hold in `[scaling]`. */
export function checkScaling({ scaling }: Config, problems: ConfigProblems): void {
  if (problems.touches('scaling')) return
  if (scaling.driver === 'exec' && scaling.program === null) {
    problems.add(
      'scaling.program',
      'scaling.driver is "exec", but scaling.program names no program; write for example ' +
        'program = "/usr/local/bin/switchyard-scale".',
    )
  }
  if (scaling.minShards > scaling.maxShards) {
    problems.add(
      'scaling.min_shards',
      `scaling.min_shards is ${scaling.minShards}, but scaling.max_shards is ${scaling.maxShards}; write at most ` +
        `min_shards = ${scaling.maxShards}.`,
    )
  }
}
