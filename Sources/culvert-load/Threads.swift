internal import ArgumentParser
internal import CulvertIO

/// How a thread talks to the kernel, as asked for with `--io`.
enum DriverOption: String, CaseIterable, ExpressibleByArgument, Sendable {
    case auto, uring, epoll

    /// io_uring where it can be had. Throws when it was asked for by name and cannot be had.
    func kind() throws(IOError) -> DriverKind {
        try DriverKind.choose(DriverKind(rawValue: rawValue))
    }
}

/// Threads that share nothing, each with a driver.
enum LoadThreads {
    /// A send is made of at most this much payload: as much as iperf3 hands to the kernel at once, and small enough to
    /// be still in the cache when the kernel copies it.
    static let chunk = 128 * 1024
    /// Sends made for one connection before the others have their turn.
    static let chunksATurn = 8

    /// Starts `count` threads. Several are best `pinned`, to spread over the processors from the first turn on; a
    /// single one is left to the kernel's scheduler: pinned, it might be put where its peer runs.
    static func start(
        _ count: Int, _ name: String, pinned: Bool, failed: @escaping @Sendable (IOError) -> Void,
        _ body: @escaping @Sendable (Int) throws(IOError) -> Void
    ) throws(IOError) {
        let processors = Thread.processors(startingAt: HostProcess.identifier)
        for number in 0..<count {
            let processor = pinned ? processors[number % processors.count] : nil
            try Thread.start(name: "\(name)-\(number)", processor: processor) {
                Thread.wakeOnTime()
                do throws(IOError) { try body(number) } catch { failed(error) }
            }
        }
    }
}
