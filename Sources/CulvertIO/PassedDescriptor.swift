internal import CLinux
internal import Glibc

extension BlockingSocket {
    /// A connected stream that the other end hands over with a byte (unix(7), SCM_RIGHTS); nil: the other end has closed, or
    /// says something else. Throws ETIMEDOUT at the deadline, and EINVAL for what is no stream socket.
    public func receiveConnection(deadline: Tick) throws(IOError) -> BlockingSocket? {
        while true {
            var byte: UInt8 = 0
            var passed: Descriptor = -1
            var count: Int32 = 1
            let received = unsafe culvert_line_receive(descriptor, &byte, 1, &passed, &count)
            if received == -Int64(EAGAIN) {
                try wait(CULVERT_IN, deadline)
                continue
            }
            guard received >= 0 else { throw IOError(Int32(-received), "receive") }
            guard count == 1 else { return nil }
            let connection = BlockingSocket(adopting: passed)
            var kind: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            guard unsafe getsockopt(passed, SOL_SOCKET, SO_TYPE, &kind, &length) == 0,
                kind == Int32(SOCK_STREAM.rawValue)
            else { throw IOError(EINVAL, "a descriptor that is no stream socket") }
            _ = culvert_set_nonblocking(passed, 1)
            return connection
        }
    }
}
