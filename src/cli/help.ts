const overrides = `
  --socket-addr NAME=ADDR     listen on ADDR instead of what the config says
  --socket-fd NAME=FD         take over an open descriptor as the socket NAME
  --external-addr NAME=ADDR   send the external service NAME to ADDR
  --directory-path NAME=PATH  serve the disk service NAME from PATH
  --shards N                  data-plane processes, or auto for one a core
  --admin ADDR                where the admin endpoint listens`;

/** What \`sluice --help\` says. */
export const overview = `sluice — a programmable reverse and forward proxy

usage: sluice <command> [options]

commands:
  serve [proxy.yaml]           run the proxy
  check [proxy.yaml]           validate the config and compile its Workers; open nothing
  test [proxy.yaml] [filter]   run the tests that the config's Workers export
  types [proxy.yaml]           write the types of what the config binds, for an editor and tsc
  cert [print|export|install|remove]
                               the CA of tls: { development: true }
  init [dir]                   write a starting project

options:
  --help                       this text, or that of a command
  --version                    the version

examples:
  sluice init my-proxy
  sluice serve my-proxy/proxy.yaml --watch
  sluice check /etc/sluice/proxy.yaml
  sluice serve --socket-addr public=127.0.0.1:8080 --external-addr app=127.0.0.1:9000

Each command explains itself: sluice serve --help
`;

/** What \`sluice <command> --help\` says. */
export const commandHelp = {
  serve: `usage: sluice serve [proxy.yaml] [options]

Runs the proxy until SIGTERM or SIGINT, which let the exchanges in progress finish; a second signal ends at once.
SIGHUP reloads the config. When every socket listens, one line a socket says so on standard error.

options:
  --watch                     reload when the config or the source of a Worker changes${overrides}

examples:
  sluice serve                        serves ./proxy.yaml
  sluice serve proxy.yaml --watch
  sluice serve --socket-addr public=0.0.0.0:80 --shards auto --admin 127.0.0.1:9900

exit codes: 0 after a drain, 1 config error, 2 usage, 3 cannot listen
`,
  check: `usage: sluice check [proxy.yaml] [options]

Validates the config and compiles its Workers. Opens nothing. Every problem is told in one run, on standard error.

options:${overrides}

examples:
  sluice check
  API_TOKEN=x sluice check /etc/sluice/proxy.yaml

exit codes: 0 when nothing is wrong, 1 otherwise, 2 usage
`,
  test: `usage: sluice test [proxy.yaml] [filter]

Runs each exported { test(controller, env, ctx) } of the config's Workers, or those whose name contains the filter.

examples:
  sluice test
  sluice test proxy.yaml gateway

exit codes: 0 when all pass, 1 otherwise, 2 usage
`,
  types: `usage: sluice types [proxy.yaml] [options]

Writes worker-configuration.d.ts beside the config: an interface for each Worker's env (GatewayEnv for the Worker gateway,
and Env where there is only one), by its bindings. A binding that leads to a Worker in TypeScript has the methods of its
entrypoint. What a Worker gets beside the Web platform is declared too, unless package.json has @cloudflare/workers-types.
Variables that the config takes from the environment need not be set.

options:
  --out FILE                  write to FILE
  --check                     write nothing; fail when the file is not up to date

examples:
  sluice types
  sluice types edge/proxy.yaml --out src/env.d.ts
  sluice types --check && tsc

exit codes: 0, 1 when the config cannot be read or the file is not up to date, 2 usage
`,
  cert: `usage: sluice cert [print | export FILE | install | remove] [options]

The development CA, whose certificates a socket with tls: { development: true } shows. It is made on first use and kept
in the user's data directory; SLUICE_DATA_DIR names another one.

  print        its certificate, in PEM
  export FILE  the same into a file, for another machine or a client's --cacert
  install      makes this machine trust it: Debian's store, and that of Chromium
  remove       takes it out of both, and deletes it

options:
  --store system|nss          only one of the two
  --ca interception           the CA of TLS interception, in place of the development CA

exit codes: 0, 1 when something is left to do (it says what), 2 usage
`,
  init: `usage: sluice init [dir]

Writes a starting project: proxy.yaml, a Worker in TypeScript with its types, tsconfig.json. Overwrites nothing.

examples:
  sluice init
  sluice init my-proxy

exit codes: 0, 1 when a file is in the way, 2 usage
`,
} as const satisfies Record<string, string>;
