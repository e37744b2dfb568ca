// The object that carries precompiled headers; which ones, src/CMakeLists.txt says.
