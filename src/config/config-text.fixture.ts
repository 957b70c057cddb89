/** For tests: the start of a configuration that is valid with these shards, each on the host of its name. */
export function configText(...shards: readonly string[]): string {
  const tables = shards.map((name) => `[[shards]]\nname = "${name}"\nhost = "${name}"\n`)
  return `[monitor]\nuser = "m"\n[[users]]\nname = "app"\npassword = "secret"\n${tables.join('')}`
}
