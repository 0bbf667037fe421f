/** The settings of an embedded Postgres: `postgresql.conf` is written anew at every start. */
export interface ClusterSettings {
  readonly port: number
  readonly maxConnections: number
  readonly replication?: { readonly primaryConnection: string; readonly slot: string }
  /** What a caller adds or replaces. */
  readonly extra?: Readonly<Record<string, string>>
}

export function postgresqlConf(settings: ClusterSettings): string {
  const values: Record<string, string> = {
    // Loopback and a password; no socket file that another copy could meet.
    listen_addresses: '127.0.0.1',
    port: String(settings.port),
    unix_socket_directories: '',
    max_connections: String(settings.maxConnections),
    password_encryption: 'scram-sha-256',
    // The passwords are 192 random bits: stretching them would only make every connection dearer.
    scram_iterations: '128',
    // Several clusters share one small machine. io workers would be three more processes for each.
    shared_buffers: '32MB',
    max_wal_size: '512MB',
    io_method: 'sync',
    max_worker_processes: '4',
    max_parallel_workers_per_gather: '0',
    autovacuum_max_workers: '1',
    jit: 'off',
    huge_pages: 'off',
    random_page_cost: '1.1',
    // Replication. A replica that stays away must not fill the disk: its slot is given up, and it is made anew.
    wal_level: 'replica',
    max_wal_senders: '4',
    max_replication_slots: '4',
    max_slot_wal_keep_size: '1GB',
    hot_standby_feedback: 'on',
    max_standby_streaming_delay: '5s',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '500ms',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    // The server's own life, never a failed statement: those hold data.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
    ...(settings.replication && {
      primary_conninfo: settings.replication.primaryConnection,
      primary_slot_name: settings.replication.slot,
    }),
    ...settings.extra,
  }
  const lines = Object.entries(values).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
  return `# Written at every start. Settings of your own: custom.conf beside this file.\n${lines.join('\n')}\ninclude_if_exists = 'custom.conf'\n`
}

/** Nobody without a password, and nobody from elsewhere. */
export const pgHbaConf = `# Written at every start.
host all all 127.0.0.1/32 scram-sha-256
host replication replicator 127.0.0.1/32 scram-sha-256
`
