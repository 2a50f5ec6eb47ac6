internal import CLinux

/// Where a socket is or goes: IPv4, IPv6 or a Unix path.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    var storage: culvert_address

    /// No address: to be filled by `accept`.
    public init() { storage = culvert_address() }

    /// nil when the path is longer than the kernel takes (107 bytes).
    public init?(path: String) {
        storage = culvert_address()
        guard unsafe culvert_address_unix(path, &storage) == 0 else { return nil }
    }

    private init(_ storage: culvert_address) { self.storage = storage }

    /// As the kernel has it, for another process of this machine.
    public var raw: [UInt8] {
        unsafe withUnsafeBytes(of: storage.bytes) { unsafe Array($0.prefix(Int(storage.length))) }
    }

    /// nil: more than any address has.
    public init?(raw: [UInt8]) {
        storage = culvert_address()
        guard raw.count <= Self.longest else { return nil }
        storage.length = UInt32(raw.count)
        unsafe withUnsafeMutableBytes(of: &storage.bytes) { unsafe $0.copyBytes(from: raw) }
    }

    /// A Unix address, bytes; a zero follows it in the memory that is kept for one.
    private static let longest = 110

    public enum Family: Int32, Sendable {
        case any = 0
        case ipv4 = 4
        case ipv6 = 6
    }

    public var isUnix: Bool { unsafe withUnsafePointer(to: storage) { unsafe culvert_address_family($0) } == 1 }
    public var isIPv6: Bool { unsafe withUnsafePointer(to: storage) { unsafe culvert_address_family($0) } == 6 }
    public var port: UInt16 { unsafe withUnsafePointer(to: storage) { unsafe culvert_address_port($0) } }

    /// The numeric host or the path; empty for a nameless Unix peer.
    public var host: String {
        var text = [CChar](repeating: 0, count: 256)
        let result = unsafe withUnsafePointer(to: storage) { unsafe culvert_address_host($0, &text, text.count) }
        guard result == 0 else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `host:port`, the host in brackets when it has colons.
    public var description: String {
        if isUnix { return host }
        return isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    public static func == (left: SocketAddress, right: SocketAddress) -> Bool {
        left.isUnix == right.isUnix && left.port == right.port && left.host == right.host
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(host)
        hasher.combine(port)
    }

    /// Every address of a name, best first; blocks in the resolver, so not on a worker. nil host: the wildcard
    /// addresses. `numeric`: no name is looked up, and nothing blocks.
    public static func resolve(host: String?, port: UInt16, family: Family = .any, numeric: Bool = false)
        throws(ResolveError) -> [SocketAddress]
    {
        var found = [culvert_address](repeating: culvert_address(), count: 32)
        let count: Int32
        if let host {
            count = unsafe culvert_resolve(host, port, family.rawValue, numeric ? 1 : 0, &found, 32)
        } else {
            count = unsafe culvert_resolve(nil, port, family.rawValue, 1, &found, 32)
        }
        guard count > 0 else {
            let reason =
                count < -5000 ? unsafe String(cString: culvert_resolve_error(count)) : errorText(max(1, -count))
            throw ResolveError(
                host: host ?? "*", reason: reason, isTemporary: culvert_resolve_error_is_temporary(count) == 1)
        }
        return found.prefix(Int(count)).map { SocketAddress($0) }
    }

    /// The addresses of an interface, at most one of each family, for sockets that are to go out by it: one that reaches
    /// other machines where it has such. Empty: there is no interface of that name, it is down, or it has none.
    public static func of(interface name: String) throws(IOError) -> [SocketAddress] {
        var found = [culvert_address](repeating: culvert_address(), count: 2)
        let count = unsafe culvert_interface_addresses(name, &found)
        guard count >= 0 else { throw IOError(-count, "getifaddrs") }
        return found.prefix(Int(count)).map { SocketAddress($0) }
    }

    /// The same place at another port; nil for a Unix path.
    public func at(port: UInt16) -> SocketAddress? {
        if isUnix { return nil }
        return try? SocketAddress.resolve(host: host, port: port, numeric: true).first
    }

    /// The address a socket is bound to.
    public static func local(of descriptor: Descriptor) -> SocketAddress? {
        var address = culvert_address()
        return unsafe culvert_local_address(descriptor, &address) == 0 ? SocketAddress(address) : nil
    }

    /// The address a socket is connected to.
    public static func peer(of descriptor: Descriptor) -> SocketAddress? {
        var address = culvert_address()
        return unsafe culvert_peer_address(descriptor, &address) == 0 ? SocketAddress(address) : nil
    }

    /// A listening socket's descriptor. A Unix socket gets the mode that a umask of `modeMask` leaves. `resetsAccepted`: what
    /// it accepts is reset where it is closed without more (`resetOnClose`), however early it came.
    public func listen(backlog: Int = 1024, modeMask: UInt32 = 0o177, resetsAccepted: Bool = false) throws(IOError)
        -> Descriptor
    {
        let result = unsafe withUnsafePointer(to: storage) {
            unsafe culvert_listen($0, Int32(backlog), modeMask, resetsAccepted ? 1 : 0)
        }
        guard result >= 0 else { throw IOError(-result, "listen") }
        return result
    }

    func connect(from source: SocketAddress?, pending: inout Bool) -> Int {
        var waits: Int32 = 0
        let result: Int32
        if let source {
            result = unsafe withUnsafePointer(to: storage) { to in
                unsafe withUnsafePointer(to: source.storage) { unsafe culvert_connect(to, $0, &waits) }
            }
        } else {
            result = unsafe withUnsafePointer(to: storage) { unsafe culvert_connect($0, nil, &waits) }
        }
        pending = waits != 0
        return Int(result)
    }

    /// Whether a connection there would fail at once, with nothing sent: no route, or a source that is not this machine's.
    func leadsNowhere(from source: SocketAddress?) -> Bool {
        unsafe withUnsafePointer(to: storage) { to in
            guard let source else { return unsafe culvert_leads_nowhere(to, nil) != 0 }
            return unsafe withUnsafePointer(to: source.storage) { unsafe culvert_leads_nowhere(to, $0) != 0 }
        }
    }
}

/// A name that has no address.
public struct ResolveError: Error, Sendable, CustomStringConvertible {
    public let host: String
    public let reason: String
    /// Nobody could be asked, or nobody knew just now: what was found before may still hold.
    public let isTemporary: Bool

    public init(host: String, reason: String, isTemporary: Bool = false) {
        self.host = host
        self.reason = reason
        self.isTemporary = isTemporary
    }

    public var description: String { "Could not resolve hostname \(host): \(reason)" }
}
