import { test, testMachine } from "imgbuild/testing";

testMachine((lab) => ({
  nics: [{ network: "internet" }, { network: lab.network("private"), mac: "52:54:00:4e:00:02" }],
}));

test("only the notes' address reaches the database, and nothing else is reached", async ({
  machine,
  lab,
}) => {
  const client = await lab.machine({
    definition: "../notes",
    nics: [{ network: "internet" }, { network: lab.network("private"), mac: "52:54:00:4e:00:01" }],
  });
  await client.boot();
  await client.waitForPort(5432, { address: "192.0.2.2" });
  const refused = (port: number) =>
    client.fail(["timeout", "5", "bash", "-c", `exec 9<>/dev/tcp/192.0.2.2/${port}`], { withinSeconds: 30 });
  await refused(22);
  // The same client under another address must not get in.
  const card = await client.succeed("ip -o -4 address show to 192.0.2.1 | cut -d' ' -f2");
  await client.succeed(`ip address add 192.0.2.9/24 dev ${card} && ip address del 192.0.2.1/24 dev ${card}`);
  await client.waitUntilSucceeds("ping -c 1 -W 5 192.0.2.2");
  await refused(5432);
  // Without its rules the database would answer it: so the firewall refuses.
  await machine.succeed("nft flush ruleset");
  await client.waitForPort(5432, { address: "192.0.2.2" });
});
