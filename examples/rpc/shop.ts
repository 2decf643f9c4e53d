import type { Accounts } from "./accounts.ts";

interface Env {
  readonly ACCOUNTS: Service<typeof Accounts>;
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const token = url.searchParams.get("token") ?? "";
    try {
      if (url.pathname === "/name") {
        // One way there and back: `name` is asked of a session that is not here yet.
        return new Response(`${await env.ACCOUNTS.login(token).name}\n`);
      }
      using session = await env.ACCOUNTS.login(token);
      await session.spend(30);
      const total = await session.spend(Number(url.searchParams.get("amount") ?? 12));
      const lines: string[] = [];
      await session.history((line) => {
        lines.push(line);
      });
      return Response.json({ total, lines });
    } catch (error) {
      return new Response(`${error}\n`, { status: error instanceof RangeError ? 400 : 403 });
    }
  },
} satisfies ExportedHandler<Env>;
