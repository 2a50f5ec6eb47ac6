internal import CulvertPlan
internal import Glibc

/// What became of the lookup of a host's name.
public enum HostLookup: Hashable, Sendable {
    /// It has addresses. `canonicalName`: what its aliases lead to, as the resolver writes it.
    case found(canonicalName: String?)
    /// There is no such name.
    case notFound
    /// Nobody could be asked: the system's words.
    case failed(String)
}

/// The network's side of `ConfigurationAccess`. Blocking, for as long as the system's resolver does.
enum SystemNetwork {
    /// The addresses of interfaces that are up, as the system writes them.
    static func addresses() -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return [] }
        defer { unsafe freeifaddrs(list) }
        var found: [String] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            guard let address = unsafe entry.pointee.ifa_addr,
                unsafe entry.pointee.ifa_flags & UInt32(IFF_UP) != 0
            else { continue }
            let length: Int
            switch unsafe Int32(address.pointee.sa_family) {
            case AF_INET: length = MemoryLayout<sockaddr_in>.size
            case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
            default: continue
            }
            if let text = unsafe HostName.numeric(address, socklen_t(length)) { found.append(text) }
        }
        return found
    }

    static func lookUp(_ name: String, _ family: ConnectionOptions.AddressFamily) -> HostLookup {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_CANONNAME
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_family =
            switch family {
            case .any: AF_UNSPEC
            case .inet: AF_INET
            case .inet6: AF_INET6
            }
        var found: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(name, nil, &hints, &found)
        guard result == 0, let first = unsafe found else {
            // EAI_NODATA and EAI_ADDRFAMILY of glibc: the name is there, and has no such address.
            if [EAI_NONAME, -5, -9].contains(result) { return .notFound }
            return .failed(unsafe String(cString: gai_strerror(result)))
        }
        defer { unsafe freeaddrinfo(first) }
        return .found(canonicalName: unsafe first.pointee.ai_canonname.map { unsafe String(cString: $0) })
    }
}
