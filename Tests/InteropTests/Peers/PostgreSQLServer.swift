import Foundation

/// A PostgreSQL server of our own with the database `source`, on a free port.
///
/// It refuses to run as root: then it runs as `nobody`.
final class PostgreSQLServer {
    let port: UInt16
    private let stage: Stage

    /// `scale` is pgbench's: 100 000 accounts (about 15 MB) each.
    init(on stage: Stage, scale: Int) throws {
        self.stage = stage
        port = try Ports.free()
        let home = "\(stage.directory)/postgresql"
        mkdir(home, 0o700)
        var asOther: [String] = []
        if getuid() == 0 {
            guard let nobody = getpwnam("nobody") else { throw Failure("there is no user nobody") }
            chown(home, nobody.pointee.pw_uid, nobody.pointee.pw_gid)
            asOther = [
                "setpriv", "--reuid=\(nobody.pointee.pw_uid)", "--regid=\(nobody.pointee.pw_gid)", "--clear-groups",
            ]
        }
        try stage.run(
            asOther + [
                try Tools.postgreSQL("initdb"), "-D", "\(home)/data", "-U", "tester", "-A", "trust", "--no-sync",
                "--locale=C.UTF-8",
            ], environment: ["HOME": home])
        let server = try stage.start(
            "postgres",
            asOther + [
                try Tools.postgreSQL("postgres"), "-D", "\(home)/data", "-p", "\(port)", "-k", home,
                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off",
                "-c", "shared_buffers=64MB", "-c", "logging_collector=off",
            ], environment: ["HOME": home])
        try server.waitForLine(["ready to accept connections"], within: 30)
        stage.atEnd {
            // Its children have sessions of their own: an immediate shutdown ends them too.
            server.signal(SIGQUIT)
            _ = try? server.waitForEnd(within: 10)
        }
        for database in ["source", "copy"] {
            try command("createdb", port, [database])
        }
        try command("pgbench", port, ["-i", "-q", "-s", "\(scale)", "source"], within: 300)
    }

    /// Runs a client program against `port`, the server's own or a tunnel's, and returns what it prints.
    @discardableResult
    func command(_ name: String, _ port: UInt16, _ arguments: [String], within deadline: Double = 120) throws -> String
    {
        let program = try Tools.postgreSQL(name)
        return try stage.run(
            [program, "-h", "127.0.0.1", "-p", "\(port)", "-U", "tester"] + arguments, within: deadline)
    }
}
