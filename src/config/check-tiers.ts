import type { ConfigProblems } from './problems.ts'
import { enumerate } from './problems.ts'
import type { Config } from './schema.ts'
import { closest } from './suggestion.ts'

const builtIn = ['all', 'primary', 'replicas']
const places = [
  ['tiers.high', 'tierHigh'],
  ['tiers.medium', 'tierMedium'],
  ['tiers.low', 'tierLow'],
  ['tiers.background', 'tierBackground'],
] as const

/** What must hold in and between `[tiers]`, `[[shard_pools]]` and `[[shards]]`. */
export function checkTiers(config: Config, problems: ConfigProblems): void {
  if (problems.touches('tiers', 'shard_pools', 'shards')) return
  checkPools(config, problems)
  const pools = [...builtIn, ...config.shardPools.map(({ name }) => name)]
  for (const [place, property] of places) {
    const tier = config[property]
    checkPlaces(place, tier.pools, pools, problems)
    checkMax(place, tier.max, problems)
    checkOrder(place, 'kept', tier.kept, 'reserved', tier.reserved, problems)
    checkOrder(place, 'reserved', tier.reserved, 'max', tier.max, problems)
  }
  checkReserved(config, problems)
  for (const [index, rule] of config.tierRules.entries()) {
    const place = `tiers.rules[${index}]`
    if (rule.pools !== null) checkPlaces(place, rule.pools, pools, problems)
    if (rule.max !== null) checkMax(place, rule.max, problems)
  }
}

function checkPlaces(
  place: string,
  wanted: readonly string[],
  pools: readonly string[],
  problems: ConfigProblems,
): void {
  for (const name of wanted.filter((each) => !pools.includes(each))) {
    problems.add(
      `${place}.pools`,
      `${place}.pools names "${name}", but there is no such pool of shards (there are ${enumerate(pools)}); ` +
        `write [[shard_pools]] with name = "${name}", or for example pools = ["${closest(name, pools) ?? 'all'}"].`,
    )
  }
  if (wanted.length > 0) return
  problems.add(`${place}.pools`, `${place}.pools is empty, but reads run somewhere; write pools = ["all"].`)
}

function checkMax(place: string, max: string, problems: ConfigProblems): void {
  if (max !== '0' && max !== '0%') return
  problems.add(`${place}.max`, `${place}.max is ${max}, so that its clients would wait for ever; write at least 1.`)
}

/** Only what is written in the same unit can be compared here; the shard's own number of slots decides about the rest. */
function checkOrder(
  place: string,
  smaller: string,
  less: string,
  larger: string,
  more: string,
  problems: ConfigProblems,
): void {
  const isComparable = less.endsWith('%') === more.endsWith('%')
  if (!isComparable || Number.parseInt(less, 10) <= Number.parseInt(more, 10)) return
  problems.add(
    `${place}.${smaller}`,
    `${place}.${smaller} is ${less}, but ${place}.${larger} is ${more}; write at most ${more}.`,
  )
}

function checkReserved(config: Config, problems: ConfigProblems): void {
  const percents = places.map(([, property]) => config[property].reserved).filter((share) => share.endsWith('%'))
  const sum = percents.reduce((total, share) => total + Number.parseInt(share, 10), 0)
  if (sum <= 100) return
  problems.add(
    'tiers.high.reserved',
    `The tiers reserve ${sum}% of each shard’s slots together, but there are only 100%; lower the reserved of one of them.`,
  )
}

function checkPools({ shardPools, shards }: Config, problems: ConfigProblems): void {
  const names = shards.map(({ name }) => name)
  for (const [index, pool] of shardPools.entries()) {
    const place = `shard_pools[${index}]`
    if (builtIn.includes(pool.name) || shardPools.findIndex(({ name }) => name === pool.name) < index) {
      problems.add(`${place}.name`, `${place}.name is "${pool.name}", which is taken already; choose another.`)
    }
    for (const shard of pool.shards.filter((each) => !names.includes(each))) {
      problems.add(
        `${place}.shards`,
        `${place}.shards names "${shard}", but no shard has that name (there are ${enumerate(names)}); ` +
          `write for example shards = ["${closest(shard, names) ?? names[0]}"].`,
      )
    }
  }
}
