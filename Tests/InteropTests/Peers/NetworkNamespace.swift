import Foundation

/// Two network namespaces joined by a cable (veth) that nothing else uses; making them takes root.
///
/// The body runs on a thread inside the near one: what it starts, and the sockets it opens, live there.
final class NetworkNamespace: @unchecked Sendable {
    static let nearHost = "10.99.0.1"
    static let farHost = "10.99.0.2"

    private let stage: Stage
    private let keeper: Child

    /// Prefix of a command that shall run in the far namespace.
    var far: [String] { ["nsenter", "-t", "\(keeper.pid)", "-n"] }

    static func run(on stage: Stage, _ body: @escaping @Sendable (NetworkNamespace) throws -> Void) throws {
        try Running {
            try enterNew()
            try body(NetworkNamespace(stage))
        }.join()
    }

    private init(_ stage: Stage) throws {
        self.stage = stage
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self/ns/net")
        let keeper = try stage.start("namespace", ["unshare", "-n", "sleep", "infinity"])
        self.keeper = keeper
        try waitUntil("the far namespace exists") {
            let theirs = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper.pid)/ns/net")
            return theirs != nil && theirs != own && readWhole("/proc/\(keeper.pid)/comm") == "sleep\n"
        }
        try stage.run(["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", "\(keeper.pid)"])
        for (prefix, name, address) in [([], "near", Self.nearHost), (far, "far", Self.farHost)] {
            try stage.run(prefix + ["ip", "link", "set", "lo", "up"])
            try stage.run(prefix + ["ip", "address", "add", "\(address)/24", "dev", name])
            try stage.run(prefix + ["ip", "link", "set", name, "up"])
        }
    }

    /// The far side's packets vanish without a word: no link goes down, nothing is refused.
    func cut() throws {
        try stage.run(far + ["ip", "route", "add", "blackhole", "\(Self.nearHost)/32"])
    }

    func mend() throws {
        try stage.run(far + ["ip", "route", "del", "blackhole", "\(Self.nearHost)/32"])
    }

    /// Runs `body` on a thread in the far namespace.
    func inFar(_ body: @escaping @Sendable () throws -> Void) throws {
        let path = "/proc/\(keeper.pid)/ns/net"
        try Running {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(descriptor) }
            let setns = try function("setns", as: (@convention(c) (CInt, CInt) -> CInt).self)
            guard setns(descriptor, 0) == 0 else { throw Failure("setns: \(lastError())") }
            try body()
        }.join()
    }

    private static func enterNew() throws {
        let newNetwork: CInt = 0x4000_0000  // CLONE_NEWNET
        let unshare = try function("unshare", as: (@convention(c) (CInt) -> CInt).self)
        guard unshare(newNetwork) == 0 else { throw Failure("unshare: \(lastError())") }
    }
}

/// A function of libc that its Swift overlay does not show.
private func function<Signature>(_ name: String, as type: Signature.Type) throws -> Signature {
    guard let found = dlsym(nil, name) else { throw Failure("libc has no \(name)") }
    return unsafeBitCast(found, to: type)
}
