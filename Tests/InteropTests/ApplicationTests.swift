import Foundation
import Testing

/// The programs that people run through a tunnel all day.
@Suite(.serialized) struct ApplicationTests {
    @Test("pgbench with 32 and with 200 clients, then pg_dump into pg_restore", arguments: Driver.choices)
    func database(_ driver: Driver) throws {
        try onStage { stage in
            let database = try PostgreSQLServer(on: stage, scale: Scale.choose(full: 100, small: 5))
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, driver.arguments + ["-L", "\(door):127.0.0.1:\(database.port)"])
            try tunnel.waitForListener(door)
            for clients in [32, 200] {
                let report = try database.command(
                    "pgbench", door,
                    ["-S", "-n", "-c", "\(clients)", "-j", "2", "-T", "\(Scale.choose(full: 60, small: 5))", "source"])
                #expect(report.contains("number of failed transactions: 0 "), "\(report)")
                let done = report.split(separator: "\n").first { $0.contains("actually processed") }?
                    .split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }
                #expect((done ?? 0) > 1000, "\(report)")
            }

            let dump = try Tools.postgreSQL("pg_dump")
            let restore = try Tools.postgreSQL("pg_restore")
            let through = "-h 127.0.0.1 -p \(door) -U tester"
            try stage.run(
                ["bash", "-c", "set -o pipefail; \(dump) \(through) -Fc source | \(restore) \(through) -e -d copy"],
                within: 600)
            let question = """
                select md5(string_agg(md5(a::text), '' order by aid)), count(*), sum(aid) from pgbench_accounts a
                """
            let original = try database.command("psql", database.port, ["-At", "-c", question, "source"])
            let copied = try database.command("psql", database.port, ["-At", "-c", question, "copy"])
            #expect(original == copied)
            #expect(original.contains("|\(Scale.choose(full: 100, small: 5) * 100_000)|"))
        }
    }

    @Test("a VNC session: what is drawn is seen in every pixel, what is typed arrives")
    func desktop() throws {
        try onStage { stage in
            let port = try Ports.free()
            // Any display number that nobody has; X also makes a socket of that name.
            let display = try #require((100..<400).first { access("/tmp/.X11-unix/X\($0)", F_OK) != 0 })
            let desktop = try stage.start(
                "Xtigervnc",
                [
                    "Xtigervnc", ":\(display)", "-rfbport", "\(port)", "-SecurityTypes", "None", "-localhost", "-ac",
                    "-nolisten", "tcp", "-geometry", "1024x768", "-depth", "24",
                ])
            // It must remove its socket and lock itself.
            stage.atEnd {
                desktop.signal(SIGTERM)
                _ = try? desktop.waitForEnd(within: 10)
            }
            try waitUntil("the desktop is up") {
                guard desktop.isRunning else { throw Failure("Xtigervnc ended") }
                return !ProcFS.listeners(port: port).isEmpty && access("/tmp/.X11-unix/X\(display)", F_OK) == 0
            }
            let server = try SSHServer(on: stage)
            let door = try Ports.free()
            let tunnel = try Tunnel(to: server, ["-L", "\(door):localhost:\(port)"])
            try tunnel.waitForListener(door)
            let rounds = Scale.choose(full: 500, small: 20)
            let report = try stage.run(
                [
                    Tools.python, Tools.script("vnc_session.py"), ":\(display)", "127.0.0.1", "\(door)", "\(rounds)",
                ], within: 130)
            #expect(report.hasPrefix("\(rounds) pictures and 35 keys"))
        }
    }
}
