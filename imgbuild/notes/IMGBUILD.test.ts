import { test, testMachine } from "imgbuild/testing";

testMachine((lab) => ({
  nics: [{ network: "internet" }, { network: lab.network("private"), mac: "52:54:00:4e:00:01" }],
}));

test("the page shows what is in the database, and stays while the cable is out", async ({ machine, lab }) => {
  const db = await lab.machine({
    definition: "../notes-db",
    nics: [{ network: "internet" }, { network: lab.network("private"), mac: "52:54:00:4e:00:02" }],
  });
  await db.boot();
  await db.waitForUnit("notes-schema.service");
  const write = (text: string) =>
    db.succeed([
      "runuser",
      "-u",
      "postgres",
      "--",
      "psql",
      "notes",
      "-c",
      `INSERT INTO note (text) VALUES ('${text}')`,
    ]);
  const page = () => machine.succeed("cat /var/www/html/notes.txt");
  await write("water the plants");
  await machine.succeed("systemctl start notes-page.service", { withinSeconds: 60 });
  if ((await page()) !== "water the plants") throw new Error(`the page is ${await page()}`);

  await db.block(1);
  await write("buy bread");
  await machine.succeed("systemctl start notes-page.service", { withinSeconds: 60 });
  await machine.succeed("journalctl --unit notes-page.service | grep -q 'the database is out of reach'");
  if ((await page()) !== "water the plants") throw new Error("the page was lost with the database");
  await db.unblock(1);
  await machine.waitUntilSucceeds(
    "systemctl start notes-page.service; grep -qx 'buy bread' /var/www/html/notes.txt",
    { withinSeconds: 60 },
  );
});
