internal import CulvertIO
public import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// The relay, as the executable sees it. Each call takes the calling thread as its control thread and returns the exit
/// status. Made before any other thread of the process, so that every thread has the signals blocked.
public enum Relay {
    /// The first thing a process does, before it opens anything.
    public static func prepareProcess() {
        HostProcess.deferQuestions()
        HostProcess.spareAddressSpace()
        HostProcess.fillStandardDescriptors()
        HostProcess.surviveLargeFiles()
        HostProcess.heedChildren()
    }

    /// Whether this process is one that culvert has started for itself, by its first argument. It has no command line.
    public static func isChild(_ arguments: [String]) -> Bool { arguments.first == LibSSH2Child.argument }

    /// The whole of such a process.
    public static func runChild() -> Int32 { LibSSH2Child.run() }

    /// Runs tunnels until they are told to end, or have all ended. In the background a
    /// child of the calling process goes on, and this one ends inside. `mayRunPrograms`: beside ProxyCommands, of
    /// which the plans tell (a program that asks the user, or a condition that is evaluated again). `journal` is the
    /// process's own. `beginControl`: of the first tunnel that stands. `show`:
    /// of all, once they were begun.
    public static func runTunnels(
        _ tunnels: [Tunnel], _ options: ProcessOptions, mayRunPrograms: Bool, journal: Journal,
        beginControl: BeginControl? = nil, show: ShowTunnels? = nil
    ) -> Int32 {
        if !mayRunPrograms, tunnels.allSatisfy({ !$0.plan.runsPrograms }) { HostProcess.renouncePrivileges() }
        defer {
            ProxyProcess.endAll()
            journal.finish()
        }
        do throws(IOError) {
            // Forked before any thread or ring exists.
            var parent = options.background == nil ? nil : try Background.fork()
            journal.begin()
            var pidFile: PIDFile?
            if let path = options.pidFile {
                do throws(PIDFile.Failure) { pidFile = try PIDFile(path) } catch {
                    journal.error("\(options.pidFileOption) \(path): \(error)")
                    return Ending.cannotCreate.exitStatus
                }
            }
            defer { pidFile?.remove() }
            for case let path? in tunnels.map(\.plan.portFile) {
                do throws(IOError) { try WholeFile.probe(path) } catch {
                    journal.error("--port-file \(path): \(errorText(error.number))")
                    return Ending.cannotCreate.exitStatus
                }
            }
            if options.background == .atOnce { parent.take()?.ready() }
            // Before a descriptor of ours could have the number of one that is closed.
            let streams = try takeStreams(of: tunnels)
            let signals = try beginProcess()
            let isPipe = streams != nil
            var process = try TunnelProcess(
                signals, lifetime: options.lifetime, isPipe ? journal.ofPipe : journal, beginControl: beginControl
            ) {
                guard let waiting = parent.take() else { return }
                // What was said goes to whoever reads standard error now.
                journal.settle()
                waiting.ready()
            }
            for var tunnel in tunnels {
                if isPipe { tunnel.journal = tunnel.journal.ofPipe }
                let kind = try tunnel.plan.runtime.io.driver(tunnel.journal)
                try start(tunnel, kind, streams, in: &process)
            }
            var endShow: (@Sendable () -> Void)?
            do throws(ControlFailure) { endShow = try show?(process.shown) } catch {
                journal.error(error.description)
                return Ending.cannotCreate.exitStatus
            }
            defer { endShow?() }
            let ending = process.run()
            // Whoever waits for the forwards to stand is told that they never did.
            if options.background == .standing, !process.everStood, case .asAsked = ending {
                return Ending.connectionFailed.exitStatus
            }
            return ending.exitStatus
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    /// Of `-W`, which is the only tunnel of its process.
    private static func takeStreams(of tunnels: [Tunnel]) throws(IOError) -> StandardStreams? {
        guard tunnels.contains(where: { $0.plan.forwards.contains(where: \.isStandardStreams) }) else { return nil }
        precondition(tunnels.count == 1, "there is one standard input")
        return try StandardStreams.take()
    }

    /// The one place where the engine is chosen: everything below is specialised for one.
    private static func start(
        _ tunnel: Tunnel, _ kind: DriverKind, _ streams: StandardStreams?, in process: inout TunnelProcess
    ) throws(IOError) {
        switch tunnel.plan.engine {
        case .native:
            try process.start(tunnel, kind, streams, logIn: logInNative) { () throws(SSHError) in
                try NativeEngine(insideProcess: ConnectionSettings())
            }
        case .libssh2: try process.startWithChild(tunnel, kind, streams)
        }
    }

    private static func logInNative(
        _ step: Route<NativeEngine>.Step, _ socket: consuming BlockingSocket, _ path: LinkPath?,
        _ authority: any LoginAuthority, _ watch: LoginWatch?
    ) throws(SSHError) -> LoggedInLink<NativeEngine> {
        try Login.perform(
            step.plan, over: socket, path: path, login: ClientLogin(settings: nativeSettings(step)),
            authority: authority, watch: watch
        ) { $0.engine() }
    }

    private static func nativeSettings(_ step: Route<NativeEngine>.Step) -> NativeSettings {
        let lists = step.algorithms
        var settings = NativeSettings()
        settings.bindsToHost = step.server.login.bindsToHost
        settings.keyExchange = lists.keyExchanges
        settings.ciphers = lists.ciphers
        settings.macs = lists.macs
        settings.hostKeyAlgorithms = lists.hostKeys
        settings.publicKeyAlgorithms = lists.publicKeys
        if let bytes = lists.rekeyLimit?.bytes {
            settings.rekeyLimits.bytes = min(UInt64(bytes), settings.rekeyLimits.bytes)
        }
        return settings
    }

    /// Relays plain TCP, without SSH, until it is told to end.
    public static func runRelay(_ plan: RelayPlan, journal: Journal) -> Int32 {
        HostProcess.renouncePrivileges()
        defer { journal.finish() }
        journal.begin()
        do throws(IOError) {
            let signals = try beginProcess()
            let kind = try plan.runtime.io.driver(journal)
            let cores = Thread.processors(startingAt: HostProcess.identifier)
            let workers = max(1, plan.runtime.threads ?? cores.count)
            let group = try PlainGroup.start(
                processors: (0..<workers).map { cores[$0 % cores.count] }, kind: kind, forwards: plan.forwards,
                memory: plan.runtime.memory, limits: .ofProcess(), journal: journal)
            var process = RelayProcess(plan, group: group, signals: signals, journal: journal)
            return process.run().exitStatus
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    private static func beginProcess() throws(IOError) -> SignalSource {
        HostProcess.forbidCoreDumps()
        guard HostProcess.isInit else { return try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGUSR1]) }
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD])
        // Those that ended before anybody listened.
        HostProcess.reapOrphans()
        return signals
    }
}
