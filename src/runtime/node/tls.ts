import { invalidType } from "./errors.ts";
import { absentServer } from "./net.ts";
import { type ConnectOptions, connectParameters, Socket, type WorkerSocket } from "./net-socket.ts";
import { workerConnect } from "./provisions.ts";

/** `tls.connect`: a connection of its own, or one that has been plain so far. */
class TLSSocket extends Socket {
  authorized = false;
  authorizationError: Error | null = null;
  override encrypted = true;
  alpnProtocol: string | false = false;

  getPeerCertificate(): object {
    return {};
  }

  getCipher(): object {
    return {};
  }

  getProtocol(): string | null {
    return null;
  }

  getSession(): undefined {
    return undefined;
  }

  isSessionReused(): boolean {
    return false;
  }

  setServername(): void {}
}

function secureConnect(...parameters: unknown[]): TLSSocket {
  const { options: given, done } = connectParameters(parameters);
  const extra = parameters.find((value, index) => index > 0 && typeof value === "object" && value !== null);
  const options = { ...given, ...(extra as ConnectOptions | undefined) };
  const made = new TLSSocket(options);
  if (done !== undefined) made.once("secureConnect", done);
  made.once("secureConnect", () => {
    made.authorized = true;
  });
  const host = options.servername || options.host || options.socket?.remoteAddress || "localhost";
  const port = Number(options.port ?? options.socket?.remotePort ?? 443);
  if (options.socket === undefined) {
    const web = workerConnect(
      { hostname: options.host ?? "localhost", port },
      { secureTransport: "on", allowHalfOpen: true },
    );
    made.attach(web as WorkerSocket, options.host ?? "localhost", port, "secureConnect");
    return made;
  }
  const plain = options.socket;
  if (!(plain instanceof Socket)) throw invalidType("options.socket", "an instance of Socket", plain);
  const secure = (): void => {
    const web = plain.handOn().startTls({ expectedServerHostname: host });
    made.attach(web, host, port, "secureConnect");
  };
  if (plain.connecting) plain.once("connect", secure);
  else secure();
  return made;
}

/** node:tls. */
export const tls = {
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
  DEFAULT_CIPHERS: "",
  DEFAULT_ECDH_CURVE: "auto",
  DEFAULT_MAX_VERSION: "TLSv1.3",
  DEFAULT_MIN_VERSION: "TLSv1.2",
  Server: absentServer,
  TLSSocket,
  checkServerIdentity: (): undefined => undefined,
  connect: secureConnect,
  createSecureContext: (options: object = {}): object => ({ context: options }),
  createServer: absentServer,
  getCiphers: (): string[] => [],
  rootCertificates: [] as string[],
};
