import { operationCommand } from '../operation-command.ts'

export const restart = operationCommand({
  name: 'RESTART',
  argument: 'shard',
  summary: 'Stop and start the server of a shard; requests to it wait meanwhile.',
  takesTo: false,
  request: ({ name }) => ({ kind: 'restart', shard: name }),
})

export const drain = operationCommand({
  name: 'DRAIN',
  argument: 'shard',
  summary: 'Send nothing new to a replica, until UNDRAIN; answers when nothing runs there any more.',
  takesTo: false,
  request: ({ name }) => ({ kind: 'drain', shard: name }),
})

export const undrain = operationCommand({
  name: 'UNDRAIN',
  argument: 'shard',
  summary: 'Use a drained replica again.',
  takesTo: false,
  request: ({ name }) => ({ kind: 'undrain', shard: name }),
})

export const switchover = operationCommand({
  name: 'SWITCHOVER',
  argument: 'group [TO shard]',
  summary: 'Make a replica the primary of its group, and the primary a replica, without losing anything.',
  takesTo: true,
  request: ({ name, to }) => ({ kind: 'switchover', group: name, to, from: null }),
})

export const patch = operationCommand({
  name: 'PATCH',
  argument: "group [TO 'directory of programs']",
  summary: 'Restart a whole group with other programs, one server after another.',
  takesTo: true,
  request: ({ name, to }) => ({ kind: 'patch', group: name, binDirectory: to }),
})

export const scaleOut = operationCommand({
  name: 'SCALE OUT',
  argument: 'group or pool of shards',
  summary: 'Make one more replica, and send reads to it when it has caught up.',
  takesTo: false,
  request: ({ name }) => ({ kind: 'scale-out', target: name, choice: null }),
})

export const scaleIn = operationCommand({
  name: 'SCALE IN',
  argument: '[shard]',
  summary: 'Drain a shard that SCALE OUT has made, and remove it: the one that is needed least, or this one.',
  takesTo: false,
  isOptional: true,
  request: ({ name }) => ({ kind: 'scale-in', shard: name === '' ? null : name }),
})
