import type { IdentityNames } from '../memory/identity-records.ts'
import { FEATURE } from './feature-schema.ts'
import { pairKey } from './identity.ts'

/** Ids per kind of name; an id above this is not given: rare names are as good as unseen ones. */
export const MOST_NAMES = 255

/** The names that a model has been trained with, the most frequent first: a name's id is its place, from 1. */
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

/** The vocabulary of these connections, by how many there are of each name, then by name. */
export function makeVocabulary(connections: Iterable<IdentityNames>): Vocabulary {
  const counts = {
    user: new Map<string, number>(),
    database: new Map<string, number>(),
    application: new Map<string, number>(),
    subnet: new Map<string, number>(),
    pair: new Map<string, number>(),
  }
  for (const names of connections) {
    for (const kind of ['user', 'database', 'application', 'subnet'] as const) increment(counts[kind], names[kind])
    increment(counts.pair, pairKey(names))
  }
  const ranked = (map: ReadonlyMap<string, number>) =>
    [...map].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, MOST_NAMES)
  const names = (map: ReadonlyMap<string, number>) => ranked(map).map(([name]) => name)
  return {
    users: names(counts.user),
    databases: names(counts.database),
    applications: names(counts.application),
    subnets: names(counts.subnet),
    pairs: ranked(counts.pair),
  }
}

function increment(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}
