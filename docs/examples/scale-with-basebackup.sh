#!/usr/bin/env bash
# Makes and removes replicas on this machine with PostgreSQL's own tools: a program for scaling.program, to begin with.
# One run is one step: a line of JSON on standard input, one JSON object on standard output. Every step may be asked for again.
# Needs bash, jq, flock and PostgreSQL's programs, a login of the primary in PGUSER and PGPASSWORD, and as root a user to run servers.
set -euo pipefail
# Who asks may die: what was begun is done all the same.
trap "" PIPE

bin=${SCALE_PG_BIN:-$(pg_config --bindir)}
home=${SCALE_HOME:-/var/lib/switchyard-scale}
account=${SCALE_ACCOUNT:-postgres}

request=$(cat)
field() { jq -r "$1 // empty" <<<"$request"; }
shard=$(field .shard)
data=$home/$shard/data
slot=switchyard_${shard//-/_}

as_server() { if [ "$(id -u)" = 0 ]; then runuser --preserve-environment -u "$account" -- "$@"; else "$@"; fi; }
on_primary() { "$bin/psql" -XAtq -h "$(field .primary.host)" -p "$(field .primary.port)" -d postgres -c "$1"; }

# One run at a time for each shard: another one may still be at it, for a router that has died meanwhile. Servers must not inherit it.
hold() { install -d -m 711 "$home"; exec 9>"$home/$shard.lock"; flock 9; }

# A port that stays the shard's: the 100 numbers from 21000 on, by its name.
port=$((21000 + $(cksum <<<"$shard" | cut -d' ' -f1) % 100))

answer_ready() { printf '{"state":"ready","host":"127.0.0.1","port":%d}\n' "$port"; }
is_running() { as_server "$bin/pg_ctl" status -D "$data" >/dev/null 2>&1; }

case $(field .verb) in
  create)
    hold
    install -d -m 700 ${account:+$([ "$(id -u)" = 0 ] && echo -o "$account")} "$home/$shard"
    cd "$home/$shard"
    # What was not finished is begun again; the name is only given to what was.
    if [ ! -e "$data" ]; then
      rm -rf "$data.new"
      on_primary "select pg_create_physical_replication_slot('$slot', true)
        where not exists (select from pg_replication_slots where slot_name = '$slot')" >/dev/null
      as_server "$bin/pg_basebackup" -h "$(field .primary.host)" -p "$(field .primary.port)" \
        -D "$data.new" -R -S "$slot" -X stream -c fast >&2
      # A copy of one of Switchyard's own servers has the other one's sockets.
      as_server sh -c "printf \"unix_socket_directories = ''\n\" >> '$data.new/postgresql.auto.conf'"
      mv "$data.new" "$data"
    fi
    is_running || as_server "$bin/pg_ctl" start -w -D "$data" -l "$home/$shard/log" -o "-p $port" >&2 9>&-
    answer_ready
    ;;
  status)
    if [ ! -e "$home/$shard" ]; then echo '{"state":"gone"}'
    elif is_running; then answer_ready
    else echo '{"state":"creating"}'; fi
    ;;
  destroy)
    hold
    if is_running; then as_server "$bin/pg_ctl" stop -w -m fast -D "$data" >&2; fi
    rm -rf "${home:?}/$shard"
    # Else the primary keeps log for it for ever.
    on_primary "select pg_drop_replication_slot(slot_name) from pg_replication_slots
      where slot_name = '$slot' and not active" >/dev/null
    echo '{"state":"gone"}'
    ;;
esac
