internal import ArgumentParser
internal import CulvertIO
internal import Glibc

/// `culvert-load serve`: what the other subcommands, and programs of others, talk to.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the far end of the workloads, and plain sink, source and echo ports.",
        usage: "culvert-load serve [options]",
        discussion: """
            Without a port option every endpoint is served, each on a free port. With some, only these; 0 is a free \
            port. One line an endpoint tells its port. Ctrl-C or SIGTERM ends it with status 0.

              load      what culvert-load's workloads talk to: payload is checked
              vnc       the same, for 'culvert-load vnc' alone
              database  the same, for 'culvert-load database' alone
              sink      takes everything and says nothing
              source    sends until the peer goes
              echo      sends back what it gets

            Examples:
              culvert-load serve
              culvert-load serve --load 9000
              culvert-load serve --load 9000 --vnc 5900 --database 5432
              culvert-load serve --load 9000 --echo 0 --bind ::1
            """)

    @Option(help: ArgumentHelp("Port of the workloads' endpoint.", valueName: "port")) var load: UInt16?
    @Option(help: ArgumentHelp("Port of the VNC-like endpoint.", valueName: "port")) var vnc: UInt16?
    @Option(help: ArgumentHelp("Port of the database-like endpoint.", valueName: "port")) var database: UInt16?
    @Option(help: ArgumentHelp("Port that takes everything.", valueName: "port")) var sink: UInt16?
    @Option(help: ArgumentHelp("Port that sends until the peer goes.", valueName: "port")) var source: UInt16?
    @Option(help: ArgumentHelp("Port that sends back what it gets.", valueName: "port")) var echo: UInt16?
    @Option(help: ArgumentHelp("The address to listen on, as a number.", valueName: "address"))
    var bind = "127.0.0.1"
    @Option(help: "Threads (one a processor unless given).", transform: Amounts.threads) var threads: Int?
    @Option(help: "The kernel's interface.") var io = DriverOption.auto

    private var endpoints: [(endpoint: Endpoint, port: UInt16)] {
        let asked = [
            (Endpoint.load, load), (.vnc, vnc), (.database, database), (.sink, sink), (.source, source), (.echo, echo),
        ]
        let given = asked.compactMap { endpoint, port in port.map { (endpoint: endpoint, port: $0) } }
        return given.isEmpty ? asked.map { (endpoint: $0.0, port: 0) } : given
    }

    func run() throws {
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP])
        let limit = HostProcess.raiseDescriptorLimit()
        let kind = try io.kind()
        let listeners = try endpoints.map { (endpoint: $0.endpoint, descriptor: try listen($0.endpoint, $0.port)) }
        let count = threads ?? Thread.processors(startingAt: 0).count
        let mailboxes = try (0..<count).map { _ in try Mailbox<ServerMessage>() }
        let context = ServerContext(mailboxes: mailboxes, say: Output.sayError, descriptorLimit: limit)
        let failures = try Mailbox<IOError>()
        try LoadThreads.start(count, "serve", pinned: count > 1, failed: { failures.post($0) }) {
            number throws(IOError) in try context.run(number, kind)
        }
        for (number, each) in listeners.enumerated() {
            mailboxes[number % count].post(.listen(each.descriptor, each.endpoint))
            let address = SocketAddress.local(of: each.descriptor)?.description ?? "?"
            Output.say("\(each.endpoint.rawValue) \(address)")
        }
        _ = Wait.forReadable([signals.descriptor, failures.descriptor], until: nil)
        if let failure = failures.takeAll().first { throw failure }
    }

    private func listen(_ endpoint: Endpoint, _ port: UInt16) throws -> Descriptor {
        guard let address = try? SocketAddress.resolve(host: bind, port: port, numeric: true).first else {
            throw Complaint("--bind \(bind): not an address: give a number, for example 127.0.0.1 or ::1", exit: .usage)
        }
        do throws(IOError) { return try address.listen() } catch {
            let mend =
                switch error.number {
                case EADDRINUSE: " (see who has it: ss -ltnp 'sport = :\(port)'; or give 0 for a free port)"
                case EACCES: " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
                case EADDRNOTAVAIL: " (this machine has no such address: see ip address)"
                default: ""
                }
            throw Complaint(
                "cannot listen on \(address) for \(endpoint.rawValue): \(errorText(error.number))\(mend)",
                exit: .system)
        }
    }
}
