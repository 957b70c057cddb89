import type { IdentityNames } from '../memory/identity-records.ts'
import { FEATURE } from './feature-schema.ts'
import { pairKey } from './identity.ts'

/** Ids per kind of name; an id above this is not given: rare names are as good as unseen ones. */
export const MOST_NAMES = 255

/** The names that a model has been trained with, in the order of `makeVocabulary`: a name's id is its place, from 1. */
export interface Vocabulary {
  readonly users: readonly string[]
  readonly databases: readonly string[]
  readonly applications: readonly string[]
  readonly subnets: readonly string[]
  /** `pairKey`s, and how many connections each had. */
  readonly pairs: readonly (readonly [key: string, connections: number])[]
}

export const NO_VOCABULARY: Vocabulary = Object.freeze({
  users: [],
  databases: [],
  applications: [],
  subnets: [],
  pairs: [],
})

/** Looks identities up in a vocabulary. */
export class VocabularyIndex {
  readonly #ids: Record<'user' | 'database' | 'application' | 'subnet', ReadonlyMap<string, number>>
  readonly #pairs: ReadonlyMap<string, readonly [id: number, connections: number]>

  constructor(vocabulary: Vocabulary) {
    const index = (names: readonly string[]) => new Map(names.map((name, at) => [name, at + 1]))
    this.#ids = {
      user: index(vocabulary.users),
      database: index(vocabulary.databases),
      application: index(vocabulary.applications),
      subnet: index(vocabulary.subnets),
    }
    this.#pairs = new Map(vocabulary.pairs.map(([key, connections], at) => [key, [at + 1, connections]]))
  }

  /** Writes the identity features of `names` to `vector[offset …]`, in the places that `FEATURE` gives them. */
  write(names: IdentityNames, vector: Float32Array, offset: number): void {
    const [id, connections] = this.#pairs.get(pairKey(names)) ?? [0, 0]
    vector[offset + FEATURE.userId] = this.#ids.user.get(names.user) ?? 0
    vector[offset + FEATURE.databaseId] = this.#ids.database.get(names.database) ?? 0
    vector[offset + FEATURE.applicationId] = this.#ids.application.get(names.application) ?? 0
    vector[offset + FEATURE.subnetId] = this.#ids.subnet.get(names.subnet) ?? 0
    vector[offset + FEATURE.pairId] = id
    vector[offset + FEATURE.pairCount] = Math.log10(1 + connections)
  }
}

/** So many average connections are added to those of each name, so that a name with one connection is no certainty. */
const PRIOR = 2

interface Tally {
  connections: number
  codes: number
}

/**
 * The names of these connections: of too many the most frequent ones, in the order of what their connections are on
 * average. So names of one tier are neighbours, and one question of a tree has them together (Fisher 1958, as in CART).
 * `codeOf` gives the tier code of a connection; without it, the most frequent names come first.
 */
export function makeVocabulary<Connection extends IdentityNames>(
  connections: Iterable<Connection>,
  codeOf: (connection: Connection) => number = () => 0,
): Vocabulary {
  const tallies = {
    user: new Map<string, Tally>(),
    database: new Map<string, Tally>(),
    application: new Map<string, Tally>(),
    subnet: new Map<string, Tally>(),
    pair: new Map<string, Tally>(),
  }
  const all: Tally = { connections: 0, codes: 0 }
  for (const connection of connections) {
    const code = codeOf(connection)
    for (const kind of ['user', 'database', 'application', 'subnet'] as const)
      add(tallies[kind], connection[kind], code)
    add(tallies.pair, pairKey(connection), code)
    all.connections += 1
    all.codes += code
  }
  const mean = all.codes / Math.max(1, all.connections)
  const average = ({ connections, codes }: Tally): number => (codes + PRIOR * mean) / (connections + PRIOR)
  const ranked = (map: ReadonlyMap<string, Tally>) =>
    [...map]
      .sort(([a, m], [b, n]) => n.connections - m.connections || (a < b ? -1 : 1))
      .slice(0, MOST_NAMES)
      .sort(([, m], [, n]) => average(m) - average(n))
  const names = (map: ReadonlyMap<string, Tally>) => ranked(map).map(([name]) => name)
  return {
    users: names(tallies.user),
    databases: names(tallies.database),
    applications: names(tallies.application),
    subnets: names(tallies.subnet),
    pairs: ranked(tallies.pair).map(([key, { connections }]) => [key, connections] as const),
  }
}

function add(tallies: Map<string, Tally>, name: string, code: number): void {
  const tally = tallies.get(name) ?? { connections: 0, codes: 0 }
  tally.connections += 1
  tally.codes += code
  tallies.set(name, tally)
}
