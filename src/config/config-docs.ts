import { overrides } from './environment.ts'
import type { AnyKey, AnySection } from './key.ts'
import { sections } from './schema.ts'
import { literal } from './toml-text.ts'

const introduction = `# Configuration

<!-- Generated from src/config/schema/ by \`npm run docs\`. Do not edit. -->

Switchyard reads one [TOML](https://toml.io) file: \`switchyard start --config switchyard.toml\`.
[config/example.toml](../config/example.toml) is a commented one to start from, and \`switchyard check-config
switchyard.toml\` tells everything that is wrong with yours without starting.

The least that works in front of a server that exists:

\`\`\`toml
[[shards]]
name = "db1"
host = "db1.example.com"

[monitor]
user = "switchyard"
password = "secret"

[[users]]
name = "app"
password = "secret"
\`\`\`

- **Durations** are texts such as \`"250ms"\`, \`"30s"\`, \`"5m"\`, \`"1h30m"\` and \`"7d"\`, or numbers of seconds.
- **Sizes** are texts such as \`"64KB"\` and \`"16MB"\` (powers of 1024), or numbers of bytes.
- **Paths** start at the directory of the configuration file when they are relative.
- **Applying changes**: \`RELOAD\` in the admin console, or \`SIGHUP\`, reads the file again, with the certificates and
  password files it names. Keys marked ⟳ wait for the next start. A file with a mistake changes nothing.
- **Editors** check and complete the file with [config.schema.json](config.schema.json): put
  \`#:schema ./config.schema.json\` (the path or URL of yours) in its first line.
`

/** docs/config.md, whole. */
export function configDocs(): string {
  return `${[introduction.trimEnd(), environmentDocs(), ...sections.map(sectionDocs), pgbouncerDocs()].join('\n\n')}\n`
}

function environmentDocs(): string {
  const rows = overrides.map(({ variable, section, name }) => `| \`${variable}\` | \`${section}.${name}\` |`)
  return ['These variables stand above the file:', '', '| Variable | Key |', '|---|---|', ...rows].join('\n')
}

function sectionDocs(section: AnySection): string {
  const rows = Object.entries(section.keys).map(([name, key]) => keyRow(name, key))
  return [
    `## ${title(section)}`,
    '',
    section.doc,
    '',
    '| Key | Allowed | Default | Meaning |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')
}

function title(section: AnySection): string {
  if (section.form === 'list') return `\`[[${section.path}]]\``
  return section.form === 'named' ? `\`[${section.path}.NAME]\`` : `\`[${section.path}]\``
}

function keyRow(name: string, key: AnyKey): string {
  const mark = key.changeable === 'restart' ? ' ⟳' : ''
  return `| \`${name}\`${mark} | ${cell(key.type.allowed)} | ${shownDefault(key)} | ${cell(key.doc)} |`
}

function shownDefault(key: AnyKey): string {
  if (key.presence === 'required') return '**required**'
  return key.presence === 'optional' ? 'not set' : `\`${cell(literal(key.default))}\``
}

function pgbouncerDocs(): string {
  const rows = sections.flatMap((section) =>
    Object.entries(section.keys).flatMap(([name, { pgbouncer }]) =>
      pgbouncer === null ? [] : [`| \`${pgbouncer}\` | \`${name}\` in ${title(section)} |`],
    ),
  )
  return [
    '## Coming from PgBouncer',
    '',
    'Where PgBouncer has a name for the same thing. Its users file becomes `[[users]]`, its HBA file `[[auth.hba]]`.',
    '',
    '| PgBouncer | Switchyard |',
    '|---|---|',
    ...rows.toSorted(),
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
