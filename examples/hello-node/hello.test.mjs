// node --test
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { service } from "./app/hello.mjs";

async function listening(server, place) {
    await new Promise((ready) => server.listen(place, ready));
    return server.address();
}

test("each place asks the agent", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "hello-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const socket = join(folder, "agent.sock");
    // It stands for the agent, and says what it was asked.
    const agent = http.createServer(async (request, response) => {
        let body = "";
        for await (const piece of request) body += piece;
        response.end(`${request.method} ${request.url} ${body}`);
    });
    const hello = service(socket);
    const { port } = await listening(hello, { port: 0, host: "127.0.0.1" });
    t.after(() => hello.close());
    const get = async (place) => {
        const answer = await fetch(`http://127.0.0.1:${port}${place}`, { headers: { connection: "close" } });
        return `${answer.status} ${await answer.text()}`;
    };
    assert.equal(await get("/random"), "502 the agent does not answer\n");
    await listening(agent, { path: socket });
    t.after(() => agent.close());
    const wanted = {
        "/": "200 hello from node: GET /v1/info \n",
        "/random": '200 POST /v1/random {"size":16}\n',
        "/identity": "200 GET /v1/identity \n",
        "/evidence/00ff": '200 POST /v1/attest {"nonce":"00ff","app_data":"68656c6c6f2066726f6d206e6f6465"}\n',
        "/evidence/%22x": "400 the nonce is not hex\n",
        "/elsewhere": "404 places: / /random /identity /evidence/NONCE\n",
    };
    for (const [place, want] of Object.entries(wanted)) assert.equal(await get(place), want);
});
