internal import CulvertIO
internal import CulvertLibSSH2
public import CulvertSSH
internal import Glibc

/// The relay, as the executable sees it. Each call takes the calling thread as its control thread and returns the exit
/// status. Made before any other thread of the process, so that every thread has the signals blocked.
public enum Relay {
    /// Runs a tunnel until it is told to end. `authority` is asked for once a login, on that login's thread.
    public static func runTunnel(
        _ settings: TunnelSettings, authority: @escaping @Sendable (_ mayPrompt: Bool) -> any LoginAuthority,
        journal: Journal
    ) -> Int32 {
        do throws(IOError) {
            // Forked before any thread or ring exists.
            let background = settings.goesToBackground ? try Background.fork() : nil
            // Before a descriptor of ours could have the number of one that is closed.
            let streams = settings.forwards.contains(where: \.isStandardStreams) ? try StandardStreams.take() : nil
            let signals = try beginProcess()
            switch settings.engine {
            case .native:
                let engine = nativeSettings(settings.algorithms)
                return try run(settings, signals, streams, background, authority, journal) { () throws(SSHError) in
                    try NativeEngine(settings: engine)
                }
            case .libssh2:
                let lists = settings.algorithms
                let engine = LibSSH2Settings(
                    keyExchange: lists.keyExchange, ciphers: lists.ciphers, macs: lists.macs,
                    hostKeyAlgorithms: lists.hostKeys)
                return try run(settings, signals, streams, background, authority, journal) { () throws(SSHError) in
                    try LibSSH2Engine(settings: engine)
                }
            }
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    private static func nativeSettings(_ lists: AlgorithmSettings) -> NativeSettings {
        var settings = NativeSettings()
        settings.keyExchange = lists.keyExchange
        settings.ciphers = lists.ciphers
        settings.macs = lists.macs
        settings.hostKeyAlgorithms = lists.hostKeys
        settings.publicKeyAlgorithms = lists.publicKeys
        if let bytes = lists.rekeyBytes { settings.rekeyLimits.bytes = min(bytes, settings.rekeyLimits.bytes) }
        return settings
    }

    /// Generic, so that everything below is specialised for one engine.
    private static func run<Engine: SSHEngine & ~Copyable>(
        _ settings: TunnelSettings, _ signals: SignalSource, _ streams: StandardStreams?,
        _ background: consuming Background?,
        _ authority: @escaping @Sendable (_ mayPrompt: Bool) -> any LoginAuthority, _ journal: Journal,
        makeEngine: @escaping @Sendable () throws(SSHError) -> Engine
    ) throws(IOError) -> Int32 {
        let kind = try settings.runtime.driver.resolve(journal)
        let cores = Thread.processors(startingAt: 0).count
        let workers = max(1, min(settings.links, cores, settings.runtime.threads ?? cores))
        let statuses = (0..<settings.links).map { LinkStatus(worker: $0 % workers) }
        var limits = limits()
        limits.hold = Tick.Span(settings.hold)
        var alive = KeepAlive()
        alive.interval = settings.aliveInterval.map { Tick.Span($0) } ?? .zero
        alive.countMaximum = settings.aliveCountMaximum
        limits.rekeyInterval = settings.algorithms.rekeyInterval.map { Tick.Span($0) }
        let group = try WorkerGroup<Engine>.start(
            count: workers, kind: kind, forwards: settings.forwards, reverse: settings.reverse, links: statuses,
            memory: settings.runtime.memory, limits: limits, alive: alive, journal: journal)
        var parent = background
        var supervisor = Supervisor<Engine>(
            settings, group: group, statuses: statuses, signals: signals, streams: streams,
            makeEngine: makeEngine, makeAuthority: authority, journal: journal,
            becameReady: { if let waiting = parent.take() { waiting.ready() } })
        return supervisor.run().exitStatus
    }

    /// Relays plain TCP, without SSH, until it is told to end.
    public static func runRelay(_ settings: RelaySettings, journal: Journal) -> Int32 {
        do throws(IOError) {
            let signals = try beginProcess()
            let kind = try settings.runtime.driver.resolve(journal)
            let cores = Thread.processors(startingAt: 0).count
            let group = try WorkerGroup<NativeEngine>.start(
                count: max(1, settings.runtime.threads ?? cores), kind: kind, forwards: settings.forwards,
                reverse: [], links: [], memory: settings.runtime.memory, limits: limits(), alive: KeepAlive(),
                journal: journal)
            var supervisor = PlainSupervisor(settings: settings, group: group, signals: signals, journal: journal)
            return supervisor.run().exitStatus
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    private static func limits() -> RelayLimits {
        var limits = RelayLimits()
        limits.descriptors = HostProcess.raiseDescriptorLimit()
        return limits
    }

    private static func beginProcess() throws(IOError) -> SignalSource {
        HostProcess.forbidCoreDumps()
        return try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGUSR1])
    }
}
