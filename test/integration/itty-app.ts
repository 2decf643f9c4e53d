import { AutoRouter, type IRequest, json } from "itty-router";

const router = AutoRouter();

router
  .get("/users/:id", ({ id, query }: IRequest) => ({ id, full: query.full }))
  .post("/posts", async (request: IRequest) => json({ got: await request.json() }, { status: 201 }))
  .get("/throw", () => {
    throw new Error("inside");
  });

export default router;
