internal import CulvertIO
public import CulvertLibSSH2
public import CulvertSSH
internal import Glibc

/// The relay, as the executable sees it. Each call takes the calling thread as its control thread and returns the exit
/// status. Made before any other thread of the process, so that every thread has the signals blocked.
public enum Relay {
    /// Runs a tunnel until it is told to end. `authority` is asked for once a login; `becameReady` is called when
    /// every forward has been answered and at least one stands.
    public static func runTunnel(
        _ settings: TunnelSettings, engine: LibSSH2Settings,
        authority: @escaping @Sendable (_ mayPrompt: Bool) -> any LoginAuthority, journal: Journal,
        becameReady: @escaping () -> Void
    ) -> Int32 {
        do throws(IOError) {
            let signals = try beginProcess()
            var settings = settings
            settings.limits.descriptors = HostProcess.raiseDescriptorLimit()
            let kind = try settings.driver.resolve(journal)
            let cores = Thread.processors(startingAt: 0).count
            let workers = max(1, min(settings.links, cores, settings.threads ?? cores))
            let statuses = (0..<settings.links).map { LinkStatus(worker: $0 % workers) }
            let group = try WorkerGroup<LibSSH2Engine>.start(
                count: workers, kind: kind, forwards: settings.forwards, reverse: settings.reverse, links: statuses,
                memory: settings.memory, limits: settings.limits, alive: settings.alive, journal: journal)
            var supervisor = Supervisor<LibSSH2Engine>(
                settings, group: group, statuses: statuses, signals: signals,
                makeEngine: { () throws(SSHError) in try LibSSH2Engine(settings: engine) }, makeAuthority: authority,
                journal: journal, becameReady: becameReady)
            return supervisor.run().exitStatus
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    /// Relays plain TCP, without SSH, until it is told to end.
    public static func runRelay(_ settings: RelaySettings, journal: Journal) -> Int32 {
        do throws(IOError) {
            let signals = try beginProcess()
            var limits = settings.limits
            limits.descriptors = HostProcess.raiseDescriptorLimit()
            let kind = try settings.driver.resolve(journal)
            let cores = Thread.processors(startingAt: 0).count
            let group = try WorkerGroup<LibSSH2Engine>.start(
                count: max(1, settings.threads ?? cores), kind: kind, forwards: settings.forwards, reverse: [],
                links: [], memory: settings.memory, limits: limits, alive: KeepAlive(), journal: journal)
            var supervisor = PlainSupervisor(settings: settings, group: group, signals: signals, journal: journal)
            return supervisor.run().exitStatus
        } catch {
            journal.error("\(error)")
            return Ending.systemError.exitStatus
        }
    }

    private static func beginProcess() throws(IOError) -> SignalSource {
        HostProcess.forbidCoreDumps()
        return try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGUSR1])
    }
}
